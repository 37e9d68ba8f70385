"""What SonicOS's messages mean, by their numbers in the vendor's reference of log events."""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """What a message says, in the words of ECS."""

    action: str
    categories: tuple[str, ...]
    types: tuple[str, ...]
    outcome: str = "success"
    kind: str = ""


_NET, _USER, _HOST, _CONF = ("network",), ("iam",), ("host",), ("configuration",)

START = Meaning("connection-start", _NET, ("connection", "start"))
END = Meaning("connection-end", _NET, ("connection", "end"))
DENIED = Meaning("connection-denied", _NET, ("connection", "denied"))
TRAFFIC = Meaning("connection-info", _NET, ("connection", "info"))
DROPPED = Meaning("packet-dropped", _NET, ("denied",))
LOGIN = Meaning("login-success", ("authentication",), ("start", "info"))
REFUSED = Meaning("login-failure", ("authentication",), ("start", "info"), "failure")
LOGOUT = Meaning("logout", ("authentication",), ("end", "info"))
ATTACK = Meaning("attack-detected", ("intrusion_detection",), ("info",), kind="alert")
BLOCKED = Meaning("attack-blocked", ("intrusion_detection",), ("denied",), kind="alert")
VIRUS = Meaning("malware-info", ("malware",), ("info",), kind="alert")
CHANGE = Meaning("config-change", _CONF, ("change",))
OTHER = Meaning("", _HOST, ("info",))
_NOT_CHANGED = Meaning("config-change-failure", _CONF, ("change",), "failure")
_ADDED = Meaning("config-add", _CONF, ("creation",))
_DELETED = Meaning("config-delete", _CONF, ("deletion",))
_SHOWN = Meaning("config-info", _CONF, ("info",))
_OPENED = Meaning("session-start", ("session",), ("start",))
_CLOSED = Meaning("session-end", ("session",), ("end",))
_DONE = Meaning("internal-log-success", _HOST, ("info",))
_FAILED = Meaning("internal-log-failure", _HOST, ("info",), "failure")
_LOCKED = Meaning("user-account-locked", _USER, ("info", "user"))
_UNLOCKED = Meaning("user-account-unlocked", _USER, ("info", "user"))
_ENABLED = Meaning("user-account-enabled", _USER, ("info", "user"))
_DISABLED = Meaning("user-account-disabled", _USER, ("info", "user"))
_CREATED = Meaning("user-account-created", _USER, ("user", "creation"))
_EDITED = Meaning("user-account-changed", _USER, ("user", "change"))
_NOT_EDITED = Meaning("user-account-change-failure", _USER, ("user", "change"), "failure")
_RENAMED = Meaning("admin-account-changed", _USER, ("admin", "change"))
_REMOVED = Meaning("user-account-deleted", _USER, ("user", "deletion"))
WEB = Meaning("web-access", ("network", "web"), ("access",))

_NUMBERS: tuple[tuple[Meaning, str], ...] = (
    (WEB, "97"),
    (START, "98"),
    (END, "36 537"),
    (DENIED, "14 58 173 524 712 713 760 797 798 1198 1199 1474 1475"),
    (TRAFFIC, "16 45 182 188 597 598 734 815 999 1001 1002 1003 1004 1005 1006 1081 1197 1255 1256 1431 1458"),
    (
        DROPPED,
        (
            "28 37 38 41 46 48 63 175 181 339 347 428 522 523 580 590 646 647 651 652 653 683 690 694 708 709 "
            "714 735 883 884 885 887 888 889 890 891 892 893 894 895 896 910 1029 1030 1031 1233 1253 1254 "
            "1257 1301 1302 1303 1304 1384 1385 1429 1430 1433 1436 1448 1449 1473 1573 1576 1628 1629"
        ),
    ),
    (LOGIN, "29 31 199 235 236 237 238 1080"),
    (
        REFUSED,
        (
            "30 32 33 34 35 200 243 244 245 246 329 486 549 557 583 744 745 746 747 748 749 750 751 753 754 "
            "755 756 757 759 986 987 988 989 990 991 1035 1048 1117 1118 1119 1120 1121 1122 1123 1243 1517 "
            "1572 1585 1655 1672"
        ),
    ),
    (LOGOUT, "24 261 262 263 264 265 520 1008 1124"),
    (_OPENED, "994 996 997"),
    (_CLOSED, "550 551 564 995 998"),
    (
        ATTACK,
        (
            "25 82 83 177 178 179 546 548 608 789 859 860 879 897 904 905 1098 1195 1213 1214 1316 1363 1369 "
            "1373 1374 1375 1450 1451 1452 1471 1593"
        ),
    ),
    (
        BLOCKED,
        (
            "22 23 27 81 229 267 446 527 528 538 606 609 790 864 898 901 1099 1180 1200 1201 1366 1376 1387 "
            "1476 1477 1518 1519"
        ),
    ),
    (VIRUS, "123 124 125 159 408 482 793 794 795 796 1154 1155 1559 1560 1561 1562 1654"),
    (
        CHANGE,
        (
            "340 341 441 506 507 508 509 728 729 856 857 858 862 863 1269 1314 1332 1336 1339 1340 1382 1432 "
            "1600 1601 1674"
        ),
    ),
    (_NOT_CHANGED, "1383"),
    (_ADDED, "440 1313 1599"),
    (_DELETED, "442 1315"),
    (_SHOWN, "1590"),
    (_LOCKED, "1570"),
    (_UNLOCKED, "438 439 1571"),
    (_ENABLED, "561"),
    (_DISABLED, "560 1157 1627"),
    (_CREATED, "558 1333"),
    (_EDITED, "1334 1337 1338 1341 1342"),
    (_NOT_EDITED, "1011"),
    (_RENAMED, "328"),
    (_REMOVED, "559 562 1158 1335"),
    (_DONE, "4 521 1046 1047 1049 1065 1392 1393 1494 1495 1496 1511 1513 1515 1520 1565 1567"),
    (
        _FAILED,
        (
            "53 93 94 95 164 573 574 599 600 601 1066 1107 1149 1152 1160 1161 1196 1268 1512 1514 1516 1521 "
            "1566 1568 1636 1637"
        ),
    ),
)

BY_NUMBER = {code: meaning for meaning, numbers in _NUMBERS for code in numbers.split()}
"""The messages that the reference numbers; others are known by their words."""
