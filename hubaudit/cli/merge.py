"""`hubaudit merge`: the stores of shards, put together as if one machine had swept the whole list."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from hubaudit.cli import console, options
from hubaudit.cli import sweepoptions as own
from hubaudit.cli.errors import Job
from hubaudit.errors import UsageError

_Stores = Annotated[
    list[Path],
    typer.Argument(
        metavar="STORE...", show_default=False, help="The stores of the shards, one each."
    ),
]


def merge(
    stores: _Stores,
    store: own.StoreFile = None,
    form: own.SummaryForm = "text",
    output: options.Output = None,
    reports: options.Reports = Path("reports"),
    no_save: options.NoSave = False,
    verbose: options.Verbose = False,
) -> Job:
    """Put the shards of a sweep together: one store, all reports, one summary. Needs no network."""

    def job() -> int:
        from hubaudit.cli.sinks import check_writable
        from hubaudit.cli.sweepwrite import saver, write_summary
        from hubaudit.store import Store, default_path
        from hubaudit.sweeping.shards import merge as merge_stores
        from hubaudit.sweeping.summary import Summary

        outputs = tuple(output or ())
        for path in outputs:
            check_writable(path, "--output")
        for path in stores:
            if not path.is_file():
                raise UsageError(f"{path} is not there", hint="name the store of each shard")
        with ExitStack() as stack:
            into = stack.enter_context(Store(store or default_path()))
            parts = [stack.enter_context(Store(path)) for path in stores]
            found = merge_stores(into, parts, saver(None if no_save else reports))
            for missing in found.missing:
                console.warn(missing)
            summary = Summary(
                (found.name.rpartition(" at ")[0],),
                found.swept.results,
                left=0,
                is_first=found.is_first,
                missing=found.missing,
            )
            write_summary(summary, into, form, outputs, verbose=verbose)
            return summary.code

    return job
