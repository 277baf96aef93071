"""The commands of ``python -m jwt_wsgi``, and code that only they use. No request runs it."""
