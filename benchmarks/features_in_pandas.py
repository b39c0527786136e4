"""Features in pandas: one table in memory, a group-by for each question, merges to the rows.

A yardstick for `benchmarks/features.py`. It makes a part of the columns that `triad.features` makes, by the same rules:
the two funnel labels, history, counts of items, users and pairs up to the day before, and prices. It can be written in
two ways, which give the same numbers: *group by group*, each question a small function that `groupby.apply` calls on
every user, item or pair, as one writes it first; and *vectorised*, with the group-by methods that pandas runs in C.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

KINDS = {"impression": "impressions", "click": "clicks", "cart": "carts", "purchase": "purchases"}
TOLD = ["impressions", "clicks", "purchases"]
WINDOWS = {"item_id": (list(KINDS.values()), (1, 7, 28)), "user_id": (TOLD, (7, 28))}
DAY, HOUR = pd.Timedelta(days=1), pd.Timedelta(hours=1)


def read(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables, events with their day, category prefixes and brand."""
    tables = {name: pd.read_parquet(folder / name, partitioning=None) for name in ("items", "events", "prices")}
    items = tables["items"]
    path = items["category"].str.split("/", expand=True)
    items["category_1"], items["category_2"] = path[0], path[0] + "/" + path[1]
    prices = tables["prices"]
    prices["day"] = pd.to_datetime(prices["day"]).astype("datetime64[us]")
    events = tables["events"]
    events["occurred_at"] = events["occurred_at"].dt.tz_localize(None)
    events["day"] = events["occurred_at"].dt.floor("D").astype("datetime64[us]")
    tables["events"] = events.merge(items[["item_id", "category_1", "category_2", "brand"]], on="item_id")
    return tables


def build(tables: Mapping[str, pd.DataFrame], *, by_group: bool, hours: int = 24) -> pd.DataFrame:
    """One row an impression, indexed by event_id."""
    events = tables["events"].sort_values(["user_id", "occurred_at", "event_id"])
    rows = events[events["kind"] == "impression"].drop(columns=["kind", "quantity"])
    rows = _labels(rows, events, pd.Timedelta(hours=hours))
    rows = _history_by_group(rows, events) if by_group else _history(rows, events)
    for key in WINDOWS:
        rows = _windows(rows, events, key, by_group)
    for name in ("category_1", "category_2", "brand", "item_id"):
        rows = _pairs(rows, events, name, by_group)
    rows = _prices(rows, tables["prices"], by_group)
    hour = rows["occurred_at"] - rows["day"]
    rows["hour_sin"] = np.sin(hour / DAY * 2 * np.pi)
    rows["hour_cos"] = np.cos(hour / DAY * 2 * np.pi)
    rows["position"] = np.log1p(rows["position"])
    return rows.set_index("event_id")


def _labels(rows: pd.DataFrame, events: pd.DataFrame, reach: pd.Timedelta) -> pd.DataFrame:
    """Clicked, and purchased after the click, within `reach` in the same session."""
    keys = ["user_id", "item_id", "session_id"]
    shown = rows[["event_id", *keys, "occurred_at"]].rename(columns={"occurred_at": "since"})
    shown["until"] = shown["since"] + reach
    for kind, label in (("click", "click"), ("purchase", "conversion")):
        taken = events.loc[events["kind"] == kind, [*keys, "occurred_at"]]
        pairs = shown.merge(taken, on=keys)
        pairs = pairs[(pairs["occurred_at"] >= pairs["since"]) & (pairs["occurred_at"] < pairs["until"])]
        first = pairs.groupby("event_id")["occurred_at"].min()
        rows[label] = rows["event_id"].isin(first.index).astype("float32")
        shown = shown[shown["event_id"].isin(first.index)].drop(columns="since")
        shown["since"] = shown["event_id"].map(first)
    return rows


def _history(rows: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """How many interactions of the user lie before, and how long ago the last of them was."""
    done = events.loc[events["kind"] != "impression", ["user_id", "occurred_at"]].copy()
    done["history"] = done.groupby("user_id").cumcount() + 1
    done["last"] = done["occurred_at"]
    rows = pd.merge_asof(
        rows.sort_values("occurred_at"),
        done.sort_values(["occurred_at", "history"]),
        on="occurred_at",
        by="user_id",
        allow_exact_matches=False,
    )
    rows["history"] = rows["history"].fillna(0).astype("int32")
    rows["hours_since_last"] = np.log1p((rows["occurred_at"] - rows["last"]) / HOUR)
    return rows.drop(columns="last")


def _history_by_group(rows: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    done = {user: group["occurred_at"] for user, group in events[events["kind"] != "impression"].groupby("user_id")}

    def of_user(group: pd.DataFrame) -> pd.DataFrame:
        times = done.get(group["user_id"].iloc[0], events["occurred_at"].iloc[:0]).reset_index(drop=True)
        earlier = times.searchsorted(group["occurred_at"], side="left")
        last = times.reindex(earlier - 1).to_numpy()
        return group.assign(history=earlier, hours_since_last=np.log1p((group["occurred_at"] - last) / HOUR))

    return pd.concat([of_user(group) for _, group in rows.groupby("user_id")])


def _daily(events: pd.DataFrame, keys: list[str], names: list[str]) -> pd.DataFrame:
    """Counts of each kind by keys and day, keys and days without any left out."""
    kinds = events["kind"].map(KINDS)
    counts = events.assign(kind=kinds)[kinds.isin(names)].groupby([*keys, "day", "kind"]).size().unstack(fill_value=0)
    return counts.reindex(columns=names, fill_value=0)


def _windows(rows: pd.DataFrame, events: pd.DataFrame, key: str, by_group: bool) -> pd.DataFrame:
    """Counts over the days before, in rolling time windows that leave the day itself out."""
    names, lengths = WINDOWS[key]
    daily = _daily(events, [key], names).reset_index().sort_values([key, "day"])
    short = key.removesuffix("_id")
    for length in lengths:
        window = {"window": f"{length}D", "on": "day", "closed": "left"}
        if by_group:
            groups = [group.rolling(**window)[names].sum() for _, group in daily.groupby(key)]
            rolled = pd.concat(groups)
        else:
            rolled = daily.groupby(key).rolling(**window)[names].sum()
        rolled = np.log1p(rolled[names].fillna(0).reset_index(drop=True))
        rolled.columns = [f"{short}_{name}_{length}d" for name in names]
        rows = rows.merge(
            pd.concat([daily[[key, "day"]].reset_index(drop=True), rolled], axis=1), on=[key, "day"], how="left"
        )
    return rows


def _before(daily: pd.DataFrame, keys: list[str], by_group: bool) -> pd.DataFrame:
    """Sums over all earlier days of the group."""
    groups = daily.groupby(level=keys, group_keys=False)
    return groups.apply(lambda group: group.cumsum() - group) if by_group else groups.cumsum() - daily


def _pairs(rows: pd.DataFrame, events: pd.DataFrame, name: str, by_group: bool) -> pd.DataFrame:
    """What the user did with that category, brand or item on all days before, and its share of their clicks."""
    keys, pair = ["user_id", name], f"user_{name.removesuffix('_id')}"
    daily = _daily(events, keys, TOLD).sort_index()
    before = _before(daily, keys, by_group)
    found = np.log1p(before).add_prefix(f"{pair}_")
    if name == "item_id":
        day = daily.index.get_level_values("day").to_series(index=daily.index)
        found[f"{pair}_days_since"] = np.log1p((day - day.groupby(level=keys).shift()) / DAY)
    else:
        whole = _before(_daily(events, ["user_id"], TOLD), ["user_id"], by_group)["clicks"].rename("user_clicks")
        joined = before.join(whole, on=["user_id", "day"])
        found[f"{pair}_share"] = joined["clicks"] / (joined["user_clicks"] + 1)
    return rows.merge(found.reset_index(), on=[*keys, "day"], how="left")


def _prices(rows: pd.DataFrame, prices: pd.DataFrame, by_group: bool) -> pd.DataFrame:
    """The price asked against the item's own past."""
    prices = prices.sort_values(["item_id", "day"])
    prices["log"] = np.log(prices["price_cents"])
    if by_group:
        prices = pd.concat([_of_item(group) for _, group in prices.groupby("item_id")])
    else:
        by_item = prices.groupby("item_id")["log"]
        prices["mean"] = by_item.rolling(28, min_periods=1).mean().reset_index(level=0, drop=True)
        prices["ever"] = by_item.expanding().mean().reset_index(level=0, drop=True)
        prices["before_1"], prices["before_7"] = by_item.shift(1), by_item.shift(7)
        squares = (prices["log"] - prices["before_1"]) ** 2
        squares = squares.groupby(prices["item_id"]).rolling(28, min_periods=1).mean().reset_index(level=0, drop=True)
        prices["price_volatility_28d"] = np.sqrt(squares)
    rows = rows.merge(prices.drop(columns=["price_cents", "log"]), on=["item_id", "day"], how="left")
    rows["price"] = np.log(rows["price_cents"])
    for name, column in (
        ("to_mean", "mean"),
        ("to_long_mean", "ever"),
        ("change_1d", "before_1"),
        ("change_7d", "before_7"),
    ):
        rows[f"price_{name}"] = rows["price"] - rows[column]
    rows["is_promoted"] = rows["is_promoted"].astype("float32")
    return rows.drop(columns=["mean", "ever", "before_1", "before_7"])


def _of_item(group: pd.DataFrame) -> pd.DataFrame:
    log = group["log"]
    return group.assign(
        mean=log.rolling(28, min_periods=1).mean(),
        ever=log.expanding().mean(),
        before_1=log.shift(1),
        before_7=log.shift(7),
        price_volatility_28d=np.sqrt((log.diff() ** 2).rolling(28, min_periods=1).mean()),
    )
