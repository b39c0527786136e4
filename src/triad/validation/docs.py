"""Makes Great Expectations' Data Docs self-contained: no network access, the same bytes for the same data.

As written, its pages load their style, icons and tables from six other hosts; without them the index is empty. Here
they get a small style of their own, no script, and an index that also tells the checks no suite carries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from triad.schema import TABLES
from triad.validation.checks import Check
from triad.validation.pages import once

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1200px; padding: 1rem 1.5rem; }
a[href] { color: #2563eb; }
h1 { font-size: 1.6rem; } h2, h5 { font-size: 1.15rem; margin: 1.6rem 0 .4rem; } h6 { margin: 0; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .3rem .6rem; text-align: left; vertical-align: top; }
tbody tr, thead tr { border-bottom: 1px solid #8884; } code, pre { font-size: .85em; white-space: pre-wrap; }
td { overflow-wrap: anywhere; } td:first-child { white-space: nowrap; }
.number { text-align: right; }
.badge { background: #8883; border-radius: .3em; padding: .05em .4em; }
.ok, .text-success { color: #15803d; } .critical, .text-danger { color: #dc2626; }
.warning, .text-warning { color: #b45309; } .info { color: #2563eb; }
.small { font-size: .88em; opacity: .8; }
.fa-check-circle::before { content: "✔"; } .fa-times::before { content: "✘"; }
.fa-exclamation-triangle::before { content: "⚠"; } i { font-style: normal; }
.collapse { display: none; } .collapse:target { display: block; }
nav ul, ol.breadcrumb { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
.cooltip .top { display: none; } thead[hidden] { display: none; }
body:has(#option2:checked) :is(.hide-succeeded-validation-target,
  :has(> .hide-succeeded-validation-target-child),
  :has(> * > .hide-succeeded-validations-column-section-target-child)) { display: none; }
"""

_POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'\">"
)
"""No script runs and nothing is fetched, whatever a text of the shop's may hold."""

_INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">{{ policy }}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data validation {{ as_of }}</title><style>{{ style }}</style></head><body>
<h1>Data validation, {{ first_day }} to {{ as_of }} (not included)</h1>
<p>{% if critical %}<strong class="critical">✘ Stopped: {{ critical }} critical check
{{- "s" if critical > 1 }} failed.</strong>
{% else %}<strong class="ok">✔ Passed.</strong>{% endif %} {{ total }} checks, warnings: {{ warnings }}.</p>
{% for title, class, failures in groups if failures %}<h2 class="{{ class }}">{{ title }}</h2>
<table><thead><tr><th>Where</th><th>What</th><th class="number">Unexpected</th><th>Sample rows</th></tr></thead><tbody>
{% for c in failures %}<tr><td>{% if c.table in pages %}<a href="{{ pages[c.table] }}">{{ c.place }}</a>
{% else %}{{ c.place }}{% endif %}</td><td>{{ c.message }}<br><span class="small">{{ c.name }}</span></td>
<td class="number">{{ "{:,}".format(c.unexpected) if c.unexpected }}</td>
<td class="small">{% for row in c.samples %}{% for k, v in row.items() %}{{ k }}={{ v }}{{ ", " if not loop.last }}
{% endfor %}<br>{% endfor %}</td></tr>{% endfor %}</tbody></table>{% endfor %}
{% if aside %}<h2>Rows that were set aside</h2>
<table><thead><tr><th>Check</th><th>Table</th><th class="number">Rows</th><th class="number">Share</th><th>By day</th>
</tr></thead><tbody>{% for check, name, count in aside %}
<tr><td>{{ check.place }}<br><span class="small">{{ check.name }}</span></td><td>{{ name }}</td>
<td class="number">{{ "{:,}".format(count.rows) }}</td>
<td class="number">{{ "{:.3%}".format(count.share) }}</td>
<td class="small">{% for day, rows in count.get("days", {}).items() %}{{ day }}: {{ "{:,}".format(rows) }}
{{- ", " if not loop.last }}{% endfor %}</td></tr>{% endfor %}</tbody></table>{% endif %}
<h2>Each table</h2>
<p>A table's page shows what its suite expects. Other checks (volume, drift, leaks) are on this page alone.</p>
<table><thead><tr><th>Table</th><th class="number">Checks</th><th class="number">Failed</th></tr></thead><tbody>
{% for name, count, wrong in tables %}<tr><td>{% if name in pages %}<a href="{{ pages[name] }}">{{ name }}</a>
{% else %}{{ name }}{% endif %}</td><td class="number">{{ count }}</td><td class="number">{{ wrong }}</td></tr>
{% endfor %}</tbody></table>
<details><summary>Checks that passed ({{ passed|length }})</summary><table><tbody>
{% for c in passed %}<tr><td>{{ c.place }}</td><td>{{ c.message }}</td></tr>{% endfor %}</tbody></table></details>
</body></html>
"""

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_STAMP = re.compile(r"\b\d{8}T\d{6}\.\d{6}Z\b")
_DROPPED = re.compile(
    r"<(script|style)\b.*?</\1>|<link\b[^>]*>|<footer\b.*?</footer>|<img\b[^>]*>| onclick=\"[^\"<>]*\""
    r"| href=\"[./]*/expectations/[^\"<>]*\"",  # to pages of the suites alone, which are not made
    re.DOTALL,
)


def finish(docs: Path, checks: Sequence[Check], first_day: date, as_of: date) -> None:
    """Settle the pages in `docs` (there may be none) and write `index.html` over all `checks`."""
    docs.mkdir(parents=True, exist_ok=True)
    for page in sorted(docs.rglob("*.html")):
        page.write_text(settle(page.read_text(encoding="utf-8"), f"{as_of:%Y%m%d}T000000.000000Z"), encoding="utf-8")
    for path in sorted(docs.glob("static/**/*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    pages = {page.parts[-4]: page.relative_to(docs).as_posix() for page in docs.glob("validations/*/*/*/*.html")}
    (docs / "index.html").write_text(_index(checks, pages, first_day, as_of), encoding="utf-8")


def settle(page: str, stamp: str) -> str:
    """A page without script, outside addresses, random ids, and times but `stamp`."""
    page = once(_DROPPED.sub("", page))
    page = page.replace("<head>", f"<head>{_POLICY}", 1).replace("</head>", f"<style>{_STYLE}</style></head>", 1)
    places: dict[str, str] = {}
    page = _UUID.sub(lambda match: places.setdefault(match.group(), str(len(places))), page)
    return _STAMP.sub(stamp, page)


def _index(checks: Sequence[Check], pages: dict[str, str], first_day: date, as_of: date) -> str:
    wrong = {s: [c for c in checks if c.severity == s and not c.passed] for s in ("critical", "warning", "info")}
    tables = [(name, [c for c in checks if c.table == name]) for name in TABLES]
    return (
        Environment(autoescape=True)
        .from_string(_INDEX)
        .render(
            as_of=as_of,
            first_day=first_day,
            style=Markup(_STYLE),
            policy=Markup(_POLICY),
            critical=len(wrong["critical"]),
            warnings=len(wrong["warning"]),
            total=len(checks),
            groups=[
                ("Critical: these stop the run", "critical", wrong["critical"]),
                ("Warnings", "warning", wrong["warning"]),
                ("For information", "info", wrong["info"]),
            ],
            aside=[(check, name, count) for check in checks for name, count in check.set_aside.items()],
            tables=[(name, len(own), sum(not c.passed for c in own)) for name, own in tables if own],
            passed=[c for c in checks if c.passed],
            pages=pages,
        )
    )
