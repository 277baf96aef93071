"""Revoked tokens, and the store that holds them."""
