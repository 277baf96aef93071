"""What the tokens, the keys and the metadata of well-known providers look like."""
