from __future__ import annotations

import pytest

from almena.ecs import fields
from collectors.parsers.windows_meanings import MEANINGS

SECURITY = (
    "4624 4625 4634 4648 4662 4672 4688 4697 4698 4719 4720 4723 4724 4728 4732 4738 4740 4742 4756 4768 "
    "4769 4771 4776 4886 4887 5136 5140 5145 1102"
)
SYSMON = "1 3 5 7 8 10 11 12 13 14 15 17 18 22 23"


@pytest.mark.parametrize(
    ("dataset", "codes"), [("security", SECURITY), ("sysmon", SYSMON), ("powershell", "4103 4104"), ("system", "7045")]
)
def test_the_important_events_are_known(dataset: str, codes: str) -> None:
    assert set(codes.split()) <= set(MEANINGS[dataset])


def test_data_are_copied_to_fields_of_the_schema() -> None:
    for meanings in MEANINGS.values():
        for meaning in meanings.values():
            for field, _, _ in meaning.copies:
                assert field in fields() or field.startswith("winlog."), field
            assert meaning.outcome in (None, "success", "failure")
