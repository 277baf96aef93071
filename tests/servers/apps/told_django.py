"""What Django makes of what the middleware tells it: its own RemoteUserMiddleware."""

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import re_path

from jwt_wsgi import JWTMiddleware

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="x",
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.RemoteUserMiddleware",
    ],
    AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.RemoteUserBackend"],
)
django.setup()
call_command("migrate", verbosity=0)


def told(request):
    payload = request.environ["jwt_wsgi.payload"]
    error = request.environ.get("jwt_wsgi.error")
    return JsonResponse(
        {
            "sub": payload and payload["sub"],
            "user": request.user.get_username() if request.user.is_authenticated else None,
            "x_user": request.headers.get("X-User"),
            "authorization": "Authorization" in request.headers,
            "error": error and error.code,
        }
    )


urlpatterns = [re_path("", told)]
application = JWTMiddleware(get_wsgi_application())
