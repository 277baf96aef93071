"""Warmed where it is imported: in the parent, if the server loads apps before it forks."""

from cold import application

application.warm_up(raises=True)
