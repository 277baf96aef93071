"""What meets a framework or a client library; each module is imported by its users only."""
