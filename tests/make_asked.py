"""A model of the small random shop that scores clicks, searches and answers messages.

Customers take what lies in one of three categories.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from make_night import TASKS, make_params
from make_tables import END, START, make_tables
from threadpoolctl import threadpool_limits

from triad.config.fuse import FuseParams
from triad.config.profile import ProfileParams
from triad.config.recommend import RecommendParams
from triad.features.build import fit
from triad.fusion.fitting import fit_fusion
from triad.members.bench import Bench
from triad.members.popularity import Popularity
from triad.members.registry import make_member
from triad.members.search_text import SearchText
from triad.members.trees import BoostedTrees
from triad.search.lexical import Settings
from triad.tables import connect
from triad.tracking.serving import ServingModel

SAID = "where is my parcel", "how do i send it back"


def make_asked() -> tuple[ServingModel, dict[str, pa.Table], RecommendParams]:
    """The model, the tables that it was taught from, and the settings of lists."""
    tables, random = make_tables(), np.random.default_rng(0)
    pairs = [(f"blue thing {q}", f"i{item:04d}") for q in range(40) for item in random.choice(30, 6, replace=False)]
    columns = {"query": [q for q, _ in pairs], "item_id": [i for _, i in pairs]}
    tables["searches"] = pa.table({**columns, "relevance": pa.array(random.integers(0, 4, len(pairs)), pa.int8())})
    said = [(f"m{n}", f"{SAID[n % 2]} {n % 7}", ("parcel", "returns")[n % 2]) for n in range(120)]
    talk = dict(zip(("message_id", "message", "intent"), zip(*said, strict=True), strict=True))
    tables["conversations"] = pa.table({name: list(values) for name, values in talk.items()})
    tasks = {**{name: TASKS[name] for name in ("click", "next")}, "search": {"kind": "graded", "label": "relevance"}}
    tasks["intent"] = {"kind": "choice", "label": "message_intent"}
    params = make_params(tasks=tasks, recommend={"k": 5, "order_by": "click"})
    with threadpool_limits(1), connect(tables) as session:
        data, state = fit(session, params.features, params.tasks, (START, END))
        trees = BoostedTrees.fit(data, np.zeros((30, 8)), params.tasks, ProfileParams(max_iterations=30, components=4))
        members = {
            "popularity": Popularity.fit(data, params.tasks, half_life_days=14.0),
            "trees": trees,
            "search_text": SearchText("search", Settings()),
            "text_linear": make_member("text_linear", Bench(data, params, vectors=lambda: np.zeros((30, 8)))),
        }
        fused = fit_fusion(data, members, params.tasks, FuseParams(bootstrap=20))
    return ServingModel(state, fused), tables, params.recommend
