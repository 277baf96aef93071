"""Settings: the table of options, how they are read, and what an issuer is configured with."""
