"""Peak memory of `crossfix score`, protocol university1652, both sides, for galleries that lie on disk.

    python benchmarks/score_memory.py                # some sizes: the peak must not grow with the queries, nor with the gallery
    python benchmarks/score_memory.py --full         # a million by 1,024 and 100,000 queries: half an hour and more on two cores

Files are written part by part, uncompressed, as numpy.savez writes them. A process of its own reads and scores each pair and tells its
VmHWM, the most it ever had resident, pages of mapped files included; so this runs on Linux alone. Queries are noisy copies of gallery
images, hardly ever wrong: what is measured is memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

LIMIT_MB = 4000
PART = 8192
SIZES = ((50_000, 1_000), (50_000, 2_000), (50_000, 4_000), (100_000, 1_000), (200_000, 1_000))
FULL = ((1_000_000, 100_000),)


def part_of(seed, begin, count, dim):
    return np.random.default_rng((seed, begin)).standard_normal((count, dim), dtype=np.float32)


def write(path, parts, count, dim, dtype):
    """A file as numpy.savez writes it; `parts` yields its rows and their ids."""
    ids = np.empty(count, np.int64)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("features.npy", "w", force_zip64=True) as member:
            header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (count, dim)}
            np.lib.format.write_array_header_1_0(member, header)
            done = 0
            for desc, names in parts:
                member.write((desc / np.linalg.norm(desc, axis=1, keepdims=True)).astype(dtype).tobytes())
                ids[done : done + len(names)] = names
                done += len(names)
        with archive.open("ids.npy", "w") as member:
            np.lib.format.write_array(member, ids)


def draw(folder, gallery, queries, dim, dtype):
    def images():
        for begin in range(0, gallery, PART):
            count = min(PART, gallery - begin)
            yield part_of(0, begin, count, dim), np.arange(begin, begin + count)

    def asked():
        begin, stride = 0, max(1, gallery // queries)
        for start in range(0, queries, PART):
            names = (np.arange(start, min(start + PART, queries)) * stride) % gallery
            desc = np.empty((len(names), dim), np.float32)
            for begin in np.unique(names // PART) * PART:
                mine = names // PART * PART == begin
                desc[mine] = part_of(0, int(begin), min(PART, gallery - int(begin)), dim)[names[mine] - begin]
            yield desc + 3 * part_of(1, start, len(names), dim), names

    paths = folder / "queries.npz", folder / "gallery.npz"
    write(paths[0], asked(), queries, dim, dtype)
    write(paths[1], images(), gallery, dim, dtype)
    return paths


def child(queries, gallery):
    from crossfix.evaluate.arrays import read_descriptors
    from crossfix.evaluate.score import score

    start = time.perf_counter()
    scored = score(read_descriptors(Path(queries)), read_descriptors(Path(gallery)), "university1652")
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    row = {"seconds": time.perf_counter() - start, "peak_mb": int(status["VmHWM"].split()[0]) / 1000, "R@1": scored.paper["R@1"]}
    print(json.dumps({**row, "AP": scored.strict["AP"]}))


def main():
    args = parse()
    sizes = FULL if args.full else [(args.gallery, args.queries)] if args.gallery and args.queries else SIZES
    rows = []
    for gallery, queries in sizes:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            paths = draw(Path(folder), gallery, queries, args.dim, args.dtype)
            file_mb = [path.stat().st_size / 1e6 for path in paths]
            command = [sys.executable, __file__, "--threads", str(args.threads), "--child", *map(str, paths)]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append({"gallery": gallery, "queries": queries, "dim": args.dim, "dtype": args.dtype, "file_mb": sum(file_mb), **told})
        if not args.json:
            if len(rows) == 1:
                print(f"{'gallery':>10} {'queries':>8} {'dim':>6} {'on disk':>9} {'peak':>9} {'seconds':>8} {'R@1':>7} {'AP':>7}")
            scores = f"{told['R@1']:7.4f} {told['AP']:7.4f}"
            line = (
                f"{gallery:10,} {queries:8,} {args.dim:6} {sum(file_mb):6.0f} MB {told['peak_mb']:6.0f} MB {told['seconds']:8.1f} {scores}"
            )
            print(line, flush=True)
        assert told["peak_mb"] < LIMIT_MB, f"{told['peak_mb']:.0f} MB resident"
    if args.json:
        print(json.dumps(rows, indent=2))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gallery", type=int, help="images; with --queries one size instead of several")
    parser.add_argument("--queries", type=int)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float32")
    parser.add_argument("--full", action="store_true", help="a million by 100,000")
    parser.add_argument("--folder", type=Path, help="where the files are written for the time being")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    # the libraries read these when they are imported
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(parse().threads)
    import numpy as np

    if parse().child:
        child(*parse().child)
    else:
        main()
