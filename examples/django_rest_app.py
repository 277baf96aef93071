"""Django REST framework in one file; in yours, the last line stands in wsgi.py."""

import os
import secrets

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=os.environ.get("ALLOWED_HOSTS", "localhost 127.0.0.1").split(),
    INSTALLED_APPS=["jwt_wsgi.contrib.django.JWTConfig", "rest_framework"],
    # The issuer and the audience come from the environment: JWT_WSGI_ISSUER, JWT_WSGI_AUDIENCE.
    JWT_WSGI={"public_paths": ["/healthz"]},
    MIDDLEWARE=["jwt_wsgi.contrib.django.request_jwt"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["jwt_wsgi.contrib.drf.JWTAuthentication"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        # Without django.contrib.auth; leave it out if you have that.
        "UNAUTHENTICATED_USER": None,
    },
    ROOT_URLCONF=__name__,
    # Without sessions and cookies a key per worker will do; with them, set SECRET_KEY.
    SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_urlsafe(50),
    WSGI_APPLICATION=f"{__name__}.app",
)

# What follows reads the settings when it is imported.
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from jwt_wsgi.contrib.django import get_wsgi_application  # noqa: E402
from jwt_wsgi.contrib.drf import HasScope  # noqa: E402


def protected(request):
    return JsonResponse({"message": "Access granted", "user": request.jwt})


class Orders(APIView):
    permission_classes = (HasScope("orders:read"),)

    def get(self, request):
        return Response({"orders of": request.user.id})


def healthz(_request):
    return JsonResponse({"status": "ok"})


urlpatterns = [
    path("protected", protected),
    path("orders", Orders.as_view()),
    path("healthz", healthz),
]

app = get_wsgi_application()
