"""The commands of ``python -m jwt_wsgi``, and what only they use: no request comes here."""
