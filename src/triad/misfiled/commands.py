"""`triad misfiled`."""

from __future__ import annotations

import click

from triad.errors import TriadError


@click.command(
    help="List products whose class in the catalogue is probably wrong or missing: those of TASK, or of all."
)
@click.argument("task", required=False)
def misfiled(task: str | None) -> None:
    import pyarrow.csv

    from triad.artifacts import ARTIFACTS, need, replacing
    from triad.config.params import load as load_params
    from triad.examples.dataset import load
    from triad.fusion.fused import Fused
    from triad.locking import held
    from triad.misfiled.doubts import misfiled_products

    params = load_params()
    data = load(need(ARTIFACTS / "features"))
    member = Fused.load(need(ARTIFACTS / "fuse")).members.get("product_linear")
    asked = [name for name in getattr(member, "tasks", ()) if task in (None, name)]
    if not asked:
        mend = "add a task with the label product_class and the member product_linear, and run `dvc repro`"
        raise TriadError("nothing has learned it", where=f"task {task}" if task else "params.yaml: tasks", mend=mend)
    table, output = misfiled_products(data, params.tasks, member, asked), ARTIFACTS / "misfiled"
    with held(output), replacing(output) as folder:
        pyarrow.csv.write_csv(table, folder / "products.csv")
    for name in asked:
        click.echo(f"{name}: {table['task'].to_pylist().count(name):,} products to look at")
    click.echo(f"{output / 'products.csv'}")
