"""Callbacks under fire: what receives them is killed and frozen, and so is the sender; strangers post what they like.

The gateway tells late, doubled, out of order, before its answer or instead of it, and sometimes never.  Afterwards
every row says what the gateway says: what was answered with 200 before anybody asks, the rest once it was asked for.
"""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

from dispatcher.gateway.signing import Signer
from dispatcher.gateway.simulator import Fault, Faults, SimulatorConfig
from tests.chaos.cluster import besiege_cluster, leave, standing_cluster
from tests.chaos.harness import HASTE, RUNNER, Account, Battlefield, battlefield, until
from tests.chaos.receiving import Receiving
from tests.chaos.scenarios import Size
from tests.chaos.siege import besiege, freeze, kill
from tests.chaos.strangers import Strangers
from tests.chaos.told import Heard, final_states_watched, verdict
from tests.servers.ports import free_port

SECRET = "a secret that no stranger guesses"
DRAINED = 300.0  # seconds until the gateway has told everything it has to tell
FAULTS = {Fault.LATE_ANSWER: 0.02, Fault.RESET_AFTER: 0.01, Fault.ERROR_AFTER: 0.01, Fault.HANG_AFTER: 0.005}
FRENCH = 10  # every tenth row, of which the price comes later than the first callback


def callbacks_under_fire(folder: Path, size: Size) -> Account:
    """One campaign, disturbed ``size.disturbances`` times: its sender, or what receives its callbacks."""
    account, heard = Account(), Heard()
    port = free_port()
    with ExitStack() as stack:
        settings = {
            **(HASTE if size.haste else {}),
            "DISPATCHER_CALLBACK_URL": f"http://127.0.0.1:{port}/callbacks",
            "DISPATCHER_CALLBACK_SECRET": SECRET,
        }
        config = gateway_config(folder, size)
        field = stack.enter_context(
            battlefield(
                folder,
                config,
                rate_per_minute=size.limit,
                command=RUNNER,
                settings=settings,
                acknowledged=heard,
            )
        )
        receiving = Receiving(field, account, port=port)
        stack.callback(receiving.gone)
        receiving.start()
        file = mixed_file(folder / "campaign.csv", size.rows)
        rng = random.Random(f"{size.seed}/callbacks")
        strangers = strangers_of(field, [receiving], size)
        with strangers.at_work(), final_states_watched(field, account):
            besiege(
                field,
                [file],
                rng,
                times=size.disturbances,
                between=size.between,
                disturbances={
                    kill: 3,
                    lambda sender, rng: freeze(sender, rng, size.frozen): 1,
                    lambda _sender, _rng: receiving.kill(): 4,
                    lambda _sender, rng: receiving.freeze(rng, size.frozen): 2,
                },
                account=account,
            )
            receiving.kill()  # callbacks still come
            drained(field)
        receiving.leave()
        strangers.report(account)
        return verdict(field, {file: size.rows}, heard, account)


def callbacks_on_several_machines(folder: Path, size: Size) -> Account:
    """The same with workers and a receiver on each of two machines; their PostgreSQL and Redis are disturbed too."""
    account, heard = Account(), Heard()
    more = {"DISPATCHER_CALLBACK_SECRET": SECRET}
    config = gateway_config(folder, size)
    with ExitStack() as stack:
        cluster = stack.enter_context(standing_cluster(folder, size, config, more, acknowledged=heard))
        receivers = []
        for i, machine in enumerate(cluster.machines):
            receiving = Receiving(cluster.field, account, f"serve-{i}", machine.env(cluster))
            stack.callback(receiving.gone)
            receiving.start()
            machine.settings["DISPATCHER_CALLBACK_URL"] = receiving.url
            receivers.append(receiving)
        cluster.start_workers()
        file = mixed_file(folder / "campaign.csv", size.rows)
        strangers = strangers_of(cluster.field, receivers, size)
        with strangers.at_work(), final_states_watched(cluster.field, account):
            besiege_cluster(
                cluster,
                file,
                size,
                account,
                {
                    lambda _cluster, _worker, rng, _account: rng.choice(receivers).kill(): 5,
                    lambda _cluster, _worker, rng, _account: rng.choice(receivers).freeze(
                        rng, size.frozen
                    ): 2,
                },
            )
            for receiving in receivers:
                receiving.kill()
            drained(cluster.field)
        leave(cluster, account)
        for receiving in receivers:
            receiving.leave()
        strangers.report(account)
        return verdict(cluster.field, {file: size.rows}, heard, account)


def gateway_config(folder: Path, size: Size) -> SimulatorConfig:
    """A gateway that tells in every way but the plain one."""
    return SimulatorConfig(
        state=folder / "gateway.db",
        requests_per_minute=None,
        faults=Faults(rates=FAULTS, hang_seconds=1.0),
        lists_dry_runs=True,
        listing_lag=8.0,  # callbacks come sooner, nearly always
        pending_after=0.1,
        final_after=(0.3, 6.0),
        expires_after=3.0,
        undeliverable_rate=0.1,
        expired_rate=0.05,
        ww_price_delay=3.0,
        callbacks_late=(0.0, 3.0),
        callbacks_doubled_rate=0.2,
        callbacks_lost_rate=0.05,
        callback_backoff=0.3,
        seed=size.seed,
        arrivals_kept=2_000_000,
    )


def mixed_file(path: Path, rows: int) -> Path:
    """Plainly fictional numbers, most Italian, some French; some texts take two parts."""
    lines = []
    for i in range(rows):
        french = i % FRENCH == 0
        number = f"+336123{i // FRENCH:05d}" if french else f"+39312{i:07d}"
        text = (
            f"Messaggio {i % 7} così lungo: " + ", ".join(["è già pronto, á"] * 7)
            if i % 7 == 0
            else f"Message {i % 7}"
        )
        lines.append(f'{number},"{text}"\n')
    path.write_text("Phone,Message\n" + "".join(lines), encoding="utf-8")
    return path


def strangers_of(field: Battlefield, receivers: list[Receiving], size: Size) -> Strangers:
    """Who post to all of these."""
    urls = [each.url for each in receivers]
    return Strangers(field.simulator.simulator, urls, Signer(SECRET), random.Random(f"{size.seed}/strangers"))


def drained(field: Battlefield) -> None:
    """Until the gateway has nothing more to tell."""

    def told() -> bool:
        return not field.simulator.simulator.stats()["callbacks"]["waiting"]

    assert until(told, DRAINED, every=0.5), field.simulator.simulator.stats()
