"""`triad batch`: the registered model asked about many rows at once, on this machine or on a cluster.

| File | What |
|---|---|
| `requests.py` | the rows that are asked about, read a block at a time |
| `modes.py` | what is answered to a block, by the functions that answer one request |
| `run.py` | all blocks answered into one file, by the engine that `runtime.engine` names |
"""
