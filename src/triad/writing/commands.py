"""`triad describe`: learns from the catalogue's texts and writes those of each product."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from triad.writing.tone import LENGTHS, TONES

LOG = logging.getLogger("triad.describe")
SEED = 1


@click.command(help="Write a title, a description and a promotion line of each product, from its attributes alone.")
@click.option(
    "--edits",
    type=click.Path(path_type=Path),
    help="CSV of texts as people want them: item_id, genre, text",
)
@click.option("--tone", type=click.Choice(TONES), default="plain", show_default=True)
@click.option("--length", type=click.Choice(LENGTHS), default="any", show_default=True)
def describe(edits: Path | None, tone: str, length: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from triad.artifacts import ARTIFACTS, TABLES, need, replacing, write_json
    from triad.locking import held
    from triad.tables import connect
    from triad.writing.asked import rows, written
    from triad.writing.catalogue import asked, edited, lessons, product_of, read_edits
    from triad.writing.files import FOLDER, save
    from triad.writing.language import Language
    from triad.writing.training import rows_of, trained
    from triad.writing.writer import Writer, counts

    with connect(need(TABLES)) as session:
        items = session.sql("SELECT * FROM items ORDER BY item_id").to_arrow_table().to_pylist()
    products, against = map(list, zip(*map(product_of, items), strict=True))
    texts = read_edits(edits) if edits else []
    products = edited(products, texts, str(edits))
    taught = lessons(products)
    language = Language.of(taught)
    learned = rows_of(taught, language)
    by_id = {product.id: product for product in products}
    beyond = [
        {"item_id": item, "genre": genre, "says": [f"{each.what} {each.text}" for each in invented]}
        for item, genre, text in texts
        if (invented := language.facts.invented(text, asked(by_id[item], genre)))
    ]
    output = ARTIFACTS / "describe"
    with held(output):
        weights = trained(learned, language, SEED) if language.genres and learned else None
        writer = Writer.of(taught, language, weights)
        told = written(writer, zip(products, against, strict=True), tone, length)
        total = counts(told)
        with replacing(output) as folder:
            pq.write_table(pa.Table.from_pylist(rows(told)), folder / "texts.parquet")
            save(writer, folder / FOLDER)
            write_json(
                folder / "counts.json",
                {
                    "texts": total,
                    "learned_from": len(learned),
                    "tone": tone,
                    "length": length,
                    "edits_beyond_facts": beyond,
                },
            )
    if beyond:
        click.echo(f"{len(beyond):,} of {len(texts):,} edits say what no attribute says: no other product learns that")
    for genre, count in total.items():
        click.echo(f"{genre}: " + ", ".join(f"{number:,} by {name}" for name, number in count.items()))
    click.echo(f"{len(learned):,} of {len(taught):,} texts taught it · {output / 'texts.parquet'}")
