"""The Sigma engine beside RSigma, one core each, from lines of JSON to verdicts: `make bench-engine`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from bench.engine_lanes import SOURCES, changed, ecs, lines_of, make, rules_folder
from bench.engine_run import Run
from bench.peer import ECS, ROOT, ROUTED, Peer, PeerError, install


def ours(rules: Path, mode: str, warm: Path, *timed: Path) -> Run:
    command = [sys.executable, "-m", "bench.engine_run", str(rules), mode, str(warm), *map(str, timed)]
    done = subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[1])
    return msgspec.json.decode(done.stdout, type=Run)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lanes", default=",".join(SOURCES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--peer-root", type=Path, default=ROOT)
    parser.add_argument("--modes", default="native,ecs")
    args = parser.parse_args()
    peer: Peer | None = None
    if not args.no_peer:
        try:
            peer = install(args.peer_root)
        except PeerError as error:
            print(error)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rules = rules_folder(folder)
        one = folder / "one.ndjson"
        one.write_bytes(b'{"product":"none"}\n')
        for mode in args.modes.split(","):
            for lane_name in args.lanes.split(","):
                lines = lines_of(lane_name)
                lane = make(f"{lane_name}-{mode}", folder, changed(lines, ecs) if mode == "ecs" else lines, 40_000)
                for _ in range(args.rounds):
                    run = ours(rules, mode, lane.first, lane.second)
                    mine = lane.events / run.cpu[0]
                    print(
                        f"{lane.name:20} ours {mine:>10,.0f}/s cpu {lane.events / run.wall[0]:>10,.0f}/s wall "
                        f"peak {run.peak[0]} MB load {run.load:.1f} s, {run.verdicts[0]:,} verdicts",
                        flush=True,
                    )
                    if peer is not None:
                        for label, options in (("default", ()), ("routed", ROUTED)):
                            options = (*options, *(ECS if mode == "ecs" else ()))
                            load = peer.run(rules, one, options)
                            full = peer.run(rules, lane.repeated, options)
                            rate = lane.events * lane.times / (full.cpu - load.cpu)
                            print(
                                f"{'':20} peer {label:7} {rate:>10,.0f}/s cpu, ratio {mine / rate:.2f}, peak {full.peak} MB, "
                                f"{full.matches:,} verdicts",
                                flush=True,
                            )


if __name__ == "__main__":
    main()
