"""A Django project in one file; in yours, the last line stands in wsgi.py."""

import os
import secrets

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

from jwt_wsgi import JWTMiddleware

settings.configure(
    ALLOWED_HOSTS=os.environ.get("ALLOWED_HOSTS", "localhost 127.0.0.1").split(),
    ROOT_URLCONF=__name__,
    # Without sessions and cookies a key per worker will do; with them, set SECRET_KEY.
    SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_urlsafe(50),
)


def protected(request):
    return JsonResponse(
        {"message": "Access granted", "user": request.META["jwt_wsgi.payload"]},
    )


def healthz(_request):
    return JsonResponse({"status": "ok"})


urlpatterns = [path("protected", protected), path("healthz", healthz)]

# The issuer and the audience come from the environment: JWT_WSGI_ISSUER, JWT_WSGI_AUDIENCE.
app = JWTMiddleware(get_wsgi_application(), public_paths=["/healthz"])
