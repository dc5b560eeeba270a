"""What a class costs, what each lesson costs, and what others take for the same work: `python -m bench`."""

import subprocess
import sys

for part in ("load", "page", "peers"):
    print(f"\npython -m bench.{part}", flush=True)
    subprocess.run([sys.executable, "-m", f"bench.{part}"], check=True)
