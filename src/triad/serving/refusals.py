"""Why a request is not answered: a status, and a cause that quotes nothing of the request but ids' places."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, StarletteHTTPException
from fastapi.responses import JSONResponse

from triad.errors import TriadError


class UnknownError(TriadError):
    """Something named in the request that the state does not know."""


class LackingError(TriadError):
    """What is asked for is no part of the model that serves."""


def lacks(mode: str) -> LackingError:
    """The refusal of what the model was not taught."""
    mend = "add its task to params.yaml, and let a night train it"
    return LackingError(f"the model that serves has no part for {mode}", where=mode, mend=mend)


def refused(status: int, what: str, where: str, mend: str) -> JSONResponse:
    """The one form of every refusal."""
    return JSONResponse({"what": what, "where": where, "mend": mend}, status_code=status)


def install(app: FastAPI) -> None:
    """Answer all errors in this form."""
    app.add_exception_handler(TriadError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(Exception, _broken)


async def _told(request: Request, error: Any) -> JSONResponse:
    status = 404 if isinstance(error, UnknownError) else 501 if isinstance(error, LackingError) else 400
    return refused(status, error.what, error.where, error.mend)


async def _invalid(request: Request, error: Any) -> JSONResponse:
    first = error.errors()[0]
    where = ".".join(str(part)[:60] for part in first["loc"])
    return refused(422, str(first["msg"])[:300], where, "see /openapi.json for what this takes")


async def _http(request: Request, error: Any) -> JSONResponse:
    return refused(error.status_code, str(error.detail), request.url.path[:100], "see /openapi.json for what there is")


async def _broken(request: Request, error: Any) -> JSONResponse:
    return refused(500, "an error of the service", "service", "try again; the log names its kind")
