"""The hooks against stand-ins: order, a second run, and a failure at each step."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.api.doctor import Check
from shared.api.doctor import report as of_doctor
from shared.api.responses import json_response
from tests.deploy.facts import ROOT

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
ACS = f"{SUBSCRIPTION}/resourceGroups/calls-rg/providers/Microsoft.Communication/communicationServices/contoso"
STORE = f"{SUBSCRIPTION}/resourceGroups/store-rg/providers/Microsoft.Storage/storageAccounts/contosorec"
TOPIC = f"{SUBSCRIPTION}/resourceGroups/calls-rg/providers/Microsoft.EventGrid/systemTopics/calls"
OUTPUTS = {
    "AZURE_ENV_NAME": "test",
    "AZURE_RESOURCE_GROUP": "rg-test",
    "ACS_ID": ACS,
    "ACS_PRINCIPAL_ID": "acs-principal",
    "ACS_ROLE": "contributor",
    "APP_ID": f"{SUBSCRIPTION}/resourceGroups/rg-test/providers/Microsoft.Web/sites/func-x",
    "APP_NAME": "func-x",
    "APP_PRINCIPAL_ID": "app-principal",
    "APP_STORAGE_ID": f"{SUBSCRIPTION}/resourceGroups/rg-test/providers/Microsoft.Storage/storageAccounts/appx",
    "APP_URL": "https://func-x.example",
    "DEAD_LETTER_CONTAINER": "dead-letters",
    "DESTINATION_ID": STORE,
    "DESTINATION_CONTAINER": "recordings",
    "EVENT_TOPIC_ID": TOPIC,
    "ROLE_TRIES": "3",
    "PROOF_TRIES": "3",
}


def report(status: str) -> str:
    """What the app's doctor says, in the form in which it answers."""
    fine = Check("settings", "ok", "all can be used")
    found = [fine] if status == "ok" else [fine, Check("acs", status, "acs_forbidden: no role", "give the role")]
    return json_response(of_doctor(found, at=datetime(2026, 11, 22, tzinfo=UTC))).body.decode()


Rule = tuple[tuple[str, ...], list[tuple[str, int]]]
ROLES_ARE_THERE: list[Rule] = [(("role assignment list",), [("3\n", 0)])]
ALL_WELL: list[Rule] = [
    (("function list",), [("func-x/sweep\nfunc-x/recording_file_status_updated\n", 0)]),
    (("functionKeys",), [("FUNCTION-KEY\n", 0)]),
    (("systemKeys",), [("SYSTEM-KEY\n", 0)]),
    (("curl", "/api/recordings"), [("200", 0)]),
    (("curl", "/runtime/webhooks/EventGrid"), [("202", 0)]),
    (("curl", "/api/doctor"), [(report("ok"), 0)]),
]


@dataclass
class Bench:
    """A folder with stand-ins, and what was called."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, hook: str, rules: list[Rule], **more: str) -> subprocess.CompletedProcess[str]:
        for old in [*self.home.glob("seen-*"), self.home / "calls.jsonl"]:
            old.unlink(missing_ok=True)
        reported = [{"match": match, "answers": answers} for match, answers in rules]
        (self.home / "rules.json").write_text(json.dumps(reported))
        path = f"{self.home / 'bin'}:{os.environ['PATH']}"
        given = {**OUTPUTS, **more, "STAND_IN": str(self.home), "PATH": path}
        return subprocess.run(
            ["sh", ROOT / "scripts" / f"{hook}.sh"],
            cwd=ROOT,
            env={name: value for name, value in given.items() if value},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def calls(self) -> list[list[str]]:
        log = self.home / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def steps(self) -> list[str]:
        """Each call's program and sub-command."""
        found = []
        for call in self.calls:
            flag = next((index for index, word in enumerate(call) if word.startswith("-")), len(call))
            found.append(" ".join(call[:flag]))
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "bin").mkdir()
    source = (ROOT / "tests" / "deploy" / "stand_in.py").read_text()
    for name in ("az", "azd", "curl", "sleep"):
        program = tmp_path / "bin" / name
        program.write_text(f"#!{sys.executable} -SE\n{source}")
        program.chmod(0o755)
    return Bench(tmp_path)


# ---- preprovision


def test_a_new_acs_resource_needs_nothing_before(bench: Bench) -> None:
    assert bench.run("preprovision", []).returncode == 0
    assert bench.calls == []


def test_an_existing_acs_resource_gets_its_identity_once(bench: Bench) -> None:
    assert bench.run("preprovision", [(("resource show",), [("None\n", 0)])], ACS_RESOURCE_ID=ACS).returncode == 0
    assert bench.steps == [
        "az resource show",
        "az rest",
        "az eventgrid system-topic list",
        "azd env set EXISTING_EVENT_TOPIC_ID ",
    ]
    assert '{"identity":{"type":"SystemAssigned"}}' in bench.calls[1]
    bench.run("preprovision", [(("resource show",), [("SystemAssigned\n", 0)])], ACS_RESOURCE_ID=ACS)
    assert "az rest" not in bench.steps


def test_identities_that_are_there_stay(bench: Bench) -> None:
    bench.run("preprovision", [(("resource show",), [("UserAssigned\n", 0)])], ACS_RESOURCE_ID=ACS)
    assert '{"identity":{"type":"SystemAssigned,UserAssigned"}}' in bench.calls[1]


def test_the_topic_that_is_there_is_taken_and_its_own_is_not(bench: Bench) -> None:
    own = TOPIC.replace("calls-rg", "RG-test")
    rules: list[Rule] = [
        (("resource show", ACS), [("SystemAssigned\n", 0)]),
        (("resource show", TOPIC), [("None\n", 0)]),
        (("system-topic list",), [(f"/subscriptions/other\t/other\n{ACS.upper()}\t{TOPIC}\n", 0)]),
    ]
    assert bench.run("preprovision", rules, ACS_RESOURCE_ID=ACS).returncode == 0
    assert bench.steps[-2:] == ["az eventgrid system-topic update", f"azd env set EXISTING_EVENT_TOPIC_ID {TOPIC}"]
    rules[2] = (("system-topic list",), [(f"{ACS}\t{own}\n", 0)])
    assert bench.run("preprovision", rules, ACS_RESOURCE_ID=ACS).returncode == 0
    assert bench.steps[-1] == "azd env set EXISTING_EVENT_TOPIC_ID "


# ---- postprovision


def test_roles_are_given_where_their_resources_are_and_then_looked_for(bench: Bench) -> None:
    assert bench.run("postprovision", ROLES_ARE_THERE).returncode == 0
    assert bench.steps == ["az deployment group create"] * 2 + ["az role assignment list"] * 4
    destination, acs = bench.calls[:2]
    assert destination[destination.index("--resource-group") + 1] == "store-rg"
    assert "accountName=contosorec" in destination
    assert acs[acs.index("--resource-group") + 1] == "calls-rg"
    assert "acsName=contoso" in acs


def test_a_role_that_is_late_is_waited_for(bench: Bench) -> None:
    late: Rule = (("role assignment list", "acs-principal"), [("0\n", 0), ("", 1), ("1\n", 0)])
    assert bench.run("postprovision", [late, *ROLES_ARE_THERE]).returncode == 0
    assert bench.steps.count("sleep 10") == 2
    assert bench.steps[-1] == "sleep 60"


def test_a_role_that_never_comes_stops_the_run(bench: Bench) -> None:
    never: Rule = (("role assignment list", "app-principal", "appx"), [("2\n", 0)])
    ended = bench.run("postprovision", [never, *ROLES_ARE_THERE])
    assert ended.returncode == 1
    assert "2 of 3 roles after 3 looks" in ended.stderr
    assert bench.run("postprovision", ROLES_ARE_THERE).returncode == 0


def test_with_a_key_vault_reference_no_role_at_acs_is_looked_for(bench: Bench) -> None:
    assert bench.run("postprovision", ROLES_ARE_THERE, ACS_ROLE="keyVaultReference").returncode == 0
    assert bench.steps.count("az role assignment list") == 3


# ---- postdeploy


def test_the_function_is_there_before_it_is_subscribed_and_proved_after(bench: Bench) -> None:
    late: Rule = (("function list",), [("", 1), ("func-x/sweep\n", 0), ("func-x/recording_file_status_updated\n", 0)])
    assert bench.run("postdeploy", [late, *ALL_WELL]).returncode == 0
    listed, paused = "az functionapp function list", "sleep 10"
    made = ["az deployment group create", "az functionapp keys list", "az functionapp keys list", *["curl"] * 3]
    assert bench.steps == [listed, paused, listed, paused, listed, *made]
    deployed = bench.calls[5]
    assert deployed[deployed.index("--resource-group") + 1] == "calls-rg"
    assert "topicName=calls" in deployed


def test_no_key_is_an_argument(bench: Bench) -> None:
    bench.run("postdeploy", ALL_WELL)
    asked = [call for call in bench.calls if call[0] == "curl"]
    assert len(asked) == 3
    for call, key in zip(asked, ("FUNCTION-KEY", "SYSTEM-KEY", "FUNCTION-KEY"), strict=True):
        assert not any("-KEY" in word for word in call[:-1])
        assert call[-1] == f'header = "x-functions-key: {key}"\n'


def test_the_synthetic_event_is_one_that_the_subscription_has(bench: Bench) -> None:
    bench.run("postdeploy", ALL_WELL)
    sent = next(call for call in bench.calls if "--data" in call)
    [event] = json.loads(sent[sent.index("--data") + 1])
    assert event["eventType"] == "Microsoft.Communication.CallStarted"


def test_a_role_that_is_not_in_force_yet_is_waited_out_by_the_proof(bench: Bench) -> None:
    late: Rule = (("curl", "/api/recordings"), [("503", 0), ("", 7), ("200", 0)])
    assert bench.run("postdeploy", [late, *ALL_WELL]).returncode == 0
    assert bench.steps.count("sleep 10") == 2


def test_an_app_that_does_not_answer_stops_the_run(bench: Bench) -> None:
    ended = bench.run("postdeploy", [(("curl", "/api/recordings"), [("500", 0)]), *ALL_WELL])
    assert ended.returncode == 1
    assert "500, not 200" in ended.stderr


def test_what_the_doctor_warns_of_is_shown_and_stops_nothing(bench: Bench) -> None:
    ended = bench.run("postdeploy", [(("curl", "/api/doctor"), [(report("warn"), 0)]), *ALL_WELL])
    assert ended.returncode == 0
    assert [line for line in ended.stdout.splitlines() if "give the role" in line]
    assert "all can be used" not in ended.stdout


def test_what_the_doctor_finds_wrong_is_waited_out_and_then_stops_the_run(bench: Bench) -> None:
    """A role takes minutes to be in force."""
    late: Rule = (("curl", "/api/doctor"), [(report("fail"), 0), ("", 7), (report("ok"), 0)])
    assert bench.run("postdeploy", [late, *ALL_WELL]).returncode == 0
    assert bench.steps.count("sleep 10") == 2
    ended = bench.run("postdeploy", [(("curl", "/api/doctor"), [(report("fail"), 0)]), *ALL_WELL])
    assert ended.returncode == 1
    assert "acs_forbidden: no role" in ended.stderr
    assert "the doctor finds a fault after 3 looks" in ended.stderr


# ---- predown, remove-app


@pytest.mark.parametrize(
    "reported", [{}, {"DELETE_RECORDINGS": "yes"}, {"DELETE_RECORDINGS": "yes", "DELETE_RECORDINGS_OF": "rg-other"}]
)
def test_azd_down_stops_before_anything_is_deleted_unless_told_twice(bench: Bench, reported: dict[str, str]) -> None:
    ended = bench.run("predown", [], **reported)
    assert ended.returncode == 1
    assert "scripts/remove-app.sh" in ended.stderr
    assert bench.calls == []


def test_told_twice_the_locks_and_the_foreign_roles_go(bench: Bench) -> None:
    rules: list[Rule] = [(("lock list",), [("/lock/1\n/lock/2\n", 0)]), (("role assignment list",), [("/role/1\n", 0)])]
    reported = {"DELETE_RECORDINGS": "yes", "DELETE_RECORDINGS_OF": "rg-test"}
    assert bench.run("predown", rules, **reported).returncode == 0
    assert bench.steps == [
        "az lock list",
        *["az lock delete"] * 2,
        *["az role assignment list", "az role assignment delete"] * 2,
    ]


def test_the_app_goes_and_no_storage_account_and_no_acs_resource(bench: Bench) -> None:
    assert bench.run("remove-app", [(("resource list",), [("/some/id\n", 0)])]).returncode == 0
    assert bench.steps[:2] == ["az resource show", "az resource delete"]
    kinds = [call[call.index("--resource-type") + 1] for call in bench.calls if "--resource-type" in call]
    assert kinds.index("Microsoft.Web/sites") < kinds.index("Microsoft.Web/serverfarms")
    assert not [kind for kind in kinds if kind.startswith(("Microsoft.Storage", "Microsoft.Communication"))]


def test_what_is_gone_already_is_passed_over(bench: Bench) -> None:
    assert bench.run("remove-app", [(("resource show",), [("", 3)])]).returncode == 0
    assert "az resource delete" not in bench.steps


# ---- a failure at each step

FAILING = [
    ("preprovision", "az resource show", [], {"ACS_RESOURCE_ID": ACS}),
    ("preprovision", "az rest", [], {"ACS_RESOURCE_ID": ACS}),
    ("preprovision", "az eventgrid system-topic list", [], {"ACS_RESOURCE_ID": ACS}),
    ("preprovision", "azd env set", [], {"ACS_RESOURCE_ID": ACS}),
    ("postprovision", "az deployment group create access-destination", ROLES_ARE_THERE, {}),
    ("postprovision", "az deployment group create access-acs", ROLES_ARE_THERE, {}),
    ("postprovision", "az role assignment list", ROLES_ARE_THERE, {}),
    ("postdeploy", "az functionapp function list", ALL_WELL, {}),
    ("postdeploy", "az deployment group create", ALL_WELL, {}),
    ("postdeploy", "az functionapp keys functionKeys", ALL_WELL, {}),
    ("postdeploy", "az functionapp keys systemKeys", ALL_WELL, {}),
    ("postdeploy", "curl /runtime/webhooks", ALL_WELL, {}),
    ("postdeploy", "curl /api/doctor", ALL_WELL, {}),
    ("predown", "az lock list", [], {"DELETE_RECORDINGS": "yes", "DELETE_RECORDINGS_OF": "rg-test"}),
    ("remove-app", "az resource list", [], {}),
]


@pytest.mark.parametrize(("hook", "step", "rules", "more"), FAILING, ids=[f"{one[0]}: {one[1]}" for one in FAILING])
def test_a_failing_step_ends_the_hook_with_a_reason_and_the_next_run_mends_it(
    bench: Bench, hook: str, step: str, rules: list[Rule], more: dict[str, str]
) -> None:
    """Nothing that follows the failed step is called; the same hook, run again, does all of it."""
    words = tuple(step.split())
    ended = bench.run(hook, [(words, [("", 1)]), *rules], **more)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{hook}: ")
    broken = bench.calls
    assert all(word in " ".join(broken[-1]) for word in words)
    mended = bench.run(hook, rules, **more)
    assert mended.returncode == 0
    again = [json.dumps(call) for call in bench.calls]
    assert {json.dumps(call) for call in broken if call[0] != "sleep"} <= set(again)
