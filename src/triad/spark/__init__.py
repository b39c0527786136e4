"""The events of a window on an Apache Spark cluster: `runtime.engine: spark`.

| File | What |
|---|---|
| `engine.py` | which engine, as `runtime.engine` says |
| `session.py` | a Spark session, and what it needs of the machine |
| `tables.py` | Spark SQL that answers as a DuckDB session does, and the events in numbers, by parts of users |
| `parts.py` | a part's own DuckDB session, and what workers make in it |
| `handing.py` | work on its way to the workers: arrays as files that they map, all else as bytes |
| `log.py` | the `features.log.Log` of a cluster, made of these |

Nothing here knows a feature. What a worker makes of a part is made by the functions of `triad.features`.
"""
