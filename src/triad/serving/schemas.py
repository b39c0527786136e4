"""Requests, typed and bounded. The OpenAPI description is made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MOST_ITEMS, MOST_EVENTS, MOST_LISTED, MOST_MESSAGES = 500, 500, 200, 50

Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Request(BaseModel):
    """Unknown fields are refused: a misspelt one would be lost in silence."""

    model_config = ConfigDict(extra="forbid")


class Happened(Request):
    """What the customer did since the night. Without a time it happened just now, after the one before it."""

    item_id: Id
    kind: Literal["impression", "click", "cart", "purchase"]
    occurred_at: datetime | None = None


class Customer(Request):
    """Who is asked about, what they did since, and when. Without `at`: just after the last of `events`."""

    user_id: Id
    events: list[Happened] = Field(default=[], max_length=MOST_EVENTS)
    at: datetime | None = None


class Recommend(Customer):
    k: int = Field(default=20, ge=1, le=MOST_LISTED)
    why: bool = Field(default=False, description="also what each score is made of")
    surface: Id | None = Field(default=None, description="where the list will be shown: it is logged as impressions")
    request_id: Id | None = Field(default=None, description="of a request that may be repeated: it is logged once")


class Shown(Request):
    item_id: Id
    position: int | None = Field(default=1, ge=1, le=10_000)
    surface: str | None = Field(default=None, max_length=200)


class Score(Customer):
    items: list[Shown] = Field(min_length=1, max_length=MOST_ITEMS)
    changes: bool = Field(default=False, description="also what would change it, of the first 20 items")
    why: bool = Field(default=False, description="also what each event's score is made of, of the first 20 items")


class Similar(Request):
    item_id: Id
    k: int = Field(default=10, ge=1, le=MOST_LISTED)
    by: Literal["similar_items", "bought_together"] = "similar_items"


class Search(Request):
    query: str = Field(max_length=10_000)
    k: int = Field(default=10, ge=1, le=MOST_LISTED)
    why: bool = Field(default=False, description="also which words carried the first 10 products")
    user_id: Id | None = Field(default=None, description="whose order it is to be; without one, that of everybody")
    events: list[Happened] = Field(default=[], max_length=MOST_EVENTS, description="what they did since the night")
    at: datetime | None = None

    @model_validator(mode="after")
    def _somebodys(self) -> Search:
        if self.user_id is None and (self.events or self.at):
            raise ValueError("events and at are of a customer: name user_id")
        return self

    @property
    def customer(self) -> Customer | None:
        """Who asks, where they are named."""
        return None if self.user_id is None else Customer(user_id=self.user_id, events=self.events, at=self.at)


class Message(Request):
    message_id: Id
    message: str = Field(max_length=10_000)


class Answer(Request):
    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    why: bool = Field(default=False, description="also which words carried the answers to the first 5 messages")


class Advise(Request):
    """Prices as shares of the present one; `cost` is what a unit costs, for the aim margin."""

    item_ids: list[Id] = Field(min_length=1, max_length=MOST_ITEMS)
    lowest: float = 0.8
    highest: float = 1.2
    aim: Literal["revenue", "margin"] = "revenue"
    cost: float = 0.0
    level: float = 0.9


class Forecast(Request):
    item_ids: list[Id] = Field(min_length=1, max_length=MOST_ITEMS)


class Describe(Request):
    """Products as rows of the table items: what is said of each. A price of zero is not promoted."""

    items: list[dict[str, str | int | None]] = Field(min_length=1, max_length=MOST_MESSAGES)
    tone: Literal["plain", "warm", "brisk"] = "plain"
    length: Literal["any", "short", "medium", "long"] = "any"


class Ask(Request):
    """What another mode of the registered model takes: tables by name, and its parameters."""

    tables: dict[str, Annotated[list[dict[str, Any]], Field(max_length=MOST_ITEMS)]]
    params: dict[str, str | int | float | bool] = {}


class Price(Ask):
    changes: bool = Field(default=False, description="also what would change the price of the first 3 products")


class Classify(Ask):
    why: bool = Field(default=False, description="also which words and patches carried the first 3 products' classes")


class Cause(BaseModel):
    """Why a request was not answered."""

    what: str
    where: str
    mend: str


def micros(moment: datetime) -> int:
    """µs since the epoch; a time without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
