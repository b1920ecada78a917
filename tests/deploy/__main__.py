"""`make check-deploy`: the checks of `make test`, and those that need the real Azure CLI, its SDKs and actionlint.

Each of these gets a mistake, too, and must see it: a flag, a property, a context that does not exist.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from tests.deploy import commands
from tests.deploy.checks import CHECKS
from tests.deploy.commands import Command
from tests.deploy.facts import ROOT
from tests.deploy.properties import PACKAGES, unknown
from tests.deploy.real_cli import refused, workflow_faults

WRONG = [
    Command("mistake", ("az", "storage", "container", "create", "-n", "x", "--acount-name", "x")),
    Command("mistake", ("az", "communication", "identity", "assign", "-n", "x", "-g", "x")),
    Command("mistake", ("az", "functionapp", "create", "-n", "x", "-g", "x", "-s", "x", "--runtim", "python")),
]


def main() -> int:
    """Prints what was looked at and each fault. Returns 1 where there is one."""
    faults = [fault for check in CHECKS.values() for fault in check(ROOT)]
    given = commands.every(ROOT)
    faults += refused(given)
    faults += unknown(ROOT)
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    faults += workflow_faults(workflows)
    missed = len(WRONG) - len(refused(WRONG))
    with tempfile.TemporaryDirectory() as folder:
        wrong = Path(folder) / "wrong.yml"
        wrong.write_text(workflows[0].read_text().replace("vars.AZURE_LOCATION", "vasr.AZURE_LOCATION"))
        missed += not workflow_faults([wrong])
        shutil.copytree(ROOT / "infra", Path(folder) / "infra")
        storage = Path(folder) / "infra" / "app" / "storage.bicep"
        storage.write_text(storage.read_text().replace("allowBlobPublicAccess", "allowBlobPublicAcess"))
        missed += not unknown(Path(folder))
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    asked = sum(one.words[0] == "az" for one in given)
    sys.stdout.write(
        f"{len(CHECKS)} checks, {asked} az commands by the CLI's parser, {len(workflows)} workflow by actionlint, "
        f"properties of {len(PACKAGES)} providers by Azure's SDKs: "
        f"{len(faults)} faults; {missed} of {len(WRONG) + 2} deliberate mistakes missed\n"
    )
    return 1 if faults or missed else 0


if __name__ == "__main__":
    sys.exit(main())
