"""What :mod:`jwt_wsgi.testing` is made of: keys that sign, a server on loopback, providers."""
