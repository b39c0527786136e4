"""Parquet files as Arrow batches of bounded size: a dictionary can turn kilobytes into gigabytes of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from triad.config.files import LimitsParams
from triad.errors import TriadError

_ROWS = 1 << 18  # at a time
_BYTES = 256 << 20  # of text at a time
_PROBE = 1 << 10  # rows that show a dictionary


def names(file: IO[bytes]) -> list[str]:
    """The columns."""
    return list(pq.ParquetFile(file).schema_arrow.names)


def count(file: IO[bytes]) -> int:
    """The rows."""
    return int(pq.ParquetFile(file).metadata.num_rows)


def batches(
    file: IO[bytes], columns: Sequence[str], limits: LimitsParams, name: str, where: str
) -> Iterator[pa.RecordBatch]:
    """The named columns in their own types.

    Raises:
        TriadError: a value or a row group is longer than the limit.
        pa.ArrowException, OSError: the file is damaged.
    """
    plain = pq.ParquetFile(file)
    texts = [field.name for field in plain.schema_arrow if field.name in columns and _is_text(field.type)]
    coded = pq.ParquetFile(file, metadata=plain.metadata, read_dictionary=texts)
    for group in range(plain.num_row_groups):
        _check_size(plain.metadata.row_group(group), columns, limits, name, where)
        longest = 0
        for batch in coded.iter_batches(_PROBE, row_groups=[group], columns=texts) if texts else ():
            for text, column in zip(texts, batch.columns, strict=True):
                longest_value = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
                if longest_value > limits.record_bytes:
                    raise TriadError(
                        f"holds a value of {longest_value:,} bytes, more than {limits.record_bytes:,}",
                        where=f"{name}, column {text}",
                        mend=f"see what it is; if it is meant, raise {where}.limits.record_bytes",
                    )
                longest += longest_value
            break  # the first holds the whole dictionary
        rows = max(1, min(_ROWS, _BYTES // max(longest, 1)))
        yield from plain.iter_batches(rows, row_groups=[group], columns=list(columns))


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _check_size(group: Any, columns: Sequence[str], limits: LimitsParams, name: str, where: str) -> None:
    chunks = [group.column(at) for at in range(group.num_columns)]
    size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns)
    if size > limits.group_bytes:
        raise TriadError(
            f"holds a row group of {size:,} bytes in the columns that are read, more than {limits.group_bytes:,}",
            where=name,
            mend=f"write it with smaller row groups; if it is meant, raise {where}.limits.group_bytes",
        )
