"""Where keys come from: a remote JWKS or a file."""
