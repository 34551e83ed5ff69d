"""``simulator``: the stand-in gateway by itself, and what it received."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dispatcher.cli import options as o


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulator", help="Run the stand-in gateway. Example: dispatcher simulator --port 8090")(
        simulator
    )


def simulator(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port; 0 takes a free one.")] = 8090,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="SQLite file that keeps what it received; default: in memory."),
    ] = None,
    received: Annotated[
        bool, typer.Option("--received", help="Do not serve: print what the state file has received.")
    ] = False,
    faults: Annotated[
        str | None,
        typer.Option(
            "--faults", help='Faults as JSON, e.g. {"rates": {"error_after": 0.05}, "latency": 0.2}'
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of faults and delivery.")] = 0,
    rate_per_minute: o.Rate = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Without --state, --received looks at the one that `run` uses beside the ledger."""
    import json

    from dispatcher.application import ledger_folder
    from dispatcher.cli.session import configure
    from dispatcher.errors import UsageError
    from dispatcher.gateway.simulator import Faults, Simulator, SimulatorConfig, faults_from_json, run
    from dispatcher.gateway.simulator.inspection import as_json as received_values

    configuration, output = configure(as_json, ledger=ledger, lang=lang)
    if received:
        path = state or ledger_folder(configuration.settings.ledger) / "simulator.db"
        if not path.is_file():
            raise UsageError("simulator_no_state", found=str(path))
        messages = Simulator(SimulatorConfig(state=path)).received()
        for message in messages:
            kind = "dry_run" if message.dry_run else "blocked" if message.blocked else "sent"
            output.say(
                f"{message.id}  {message.created_at:%Y-%m-%d %H:%M:%S}  {output.wording(f'simulator.{kind}')}"
                f"  {message.recipient}  {message.sender}  {message.message}"
            )
        output.result({"received": [received_values(message) for message in messages]})
        return 0
    try:
        wanted = Faults() if faults is None else faults_from_json(json.loads(faults))
    except json.JSONDecodeError as error:
        raise UsageError("usage_choice", flag="--faults", found=faults, allowed="JSON") from error
    limit = 10_000 if rate_per_minute is None else rate_per_minute
    config = SimulatorConfig(state=state, faults=wanted, seed=seed, requests_per_minute=limit)

    def started(url: str) -> None:
        output.tell("simulator.started", url=url, token=config.token)
        output.result({"url": url, "token": config.token})

    run(
        config,
        host,
        port,
        on_started=started,
        on_stopped=lambda: output.tell("simulator.stopped"),
    )
    return 0
