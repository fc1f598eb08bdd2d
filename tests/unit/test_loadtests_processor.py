"""
Which core is whose.
"""

from loadtests.ratio.processor import Cores, apart, device_interrupts

TABLE = """\
           CPU0       CPU2
 36:          5       1000 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
 39:         20          0 PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0
LOC:   11839995    9397819   Local timer interrupts
"""


def test_devices_interrupts_are_counted_by_core_and_timers_are_not() -> None:
    """
    A core's own number is kept: numbers have gaps where one is switched off.
    """
    assert {0: 25, 2: 1000} == device_interrupts(TABLE)


def test_the_worker_has_the_core_that_devices_leave_alone() -> None:
    """
    The last one where it makes no difference.
    """
    assert Cores(worker=0, rest=2) == apart({0, 2}, {0: 25, 2: 1000})
    assert Cores(worker=2, rest=0) == apart({0, 2}, {0: 7, 2: 7})
    assert Cores(worker=2, rest=0) == apart({0, 2}, {})
