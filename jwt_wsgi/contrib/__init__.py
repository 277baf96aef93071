"""Integrations with frameworks and client libraries. Only apps that use a module import it."""
