"""All routes of the API: their paths, handlers, required access, and descriptions in the OpenAPI document.

Read `route_table` first, then `route` and `openapi`.
"""

from fastapi import FastAPI

from api.routes.route_table import ACCESS, OPERATORS, PUBLIC, ROUTES

__all__ = ["ACCESS", "OPERATORS", "PUBLIC", "ROUTES", "add_routes"]


def add_routes(app: FastAPI) -> None:
    for route in ROUTES:
        route.add_to(app)
