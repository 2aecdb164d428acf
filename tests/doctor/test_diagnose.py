"""Each check on machines of files: what is fine, what is worth a note, what is a warning."""

import pytest

from attnbench.doctor import containers, resources, software
from attnbench.doctor.diagnose import examine
from attnbench.doctor.host import SystemFinding

CPU = "sys/devices/system/cpu"
GROUP = "sys/fs/cgroup"


def seen(finding):
    return finding and (finding.level, finding.value)


# -- load, steal time, memory


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, ("ok", "0.10 on 4 cores")),
        (1.5, ("note", "1.50 on 4 cores")),
        (2.5, ("warning", "2.50 on 4 cores")),
        (None, None),
    ],
)
def test_load(value, expected, machine):
    assert seen(resources.load(machine(load=value))) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, ("ok", "0.0%")), (1.0, ("note", "1.0%")), (7.25, ("warning", "7.2%")), (None, None)],
)
def test_steal(value, expected, machine):
    assert seen(resources.steal(machine(steal=value))) == expected


def meminfo(available, total=0, free=0):
    text = f"MemTotal: 9999999 kB\nMemAvailable:   {available} kB\n"
    return {"proc/meminfo": f"{text}SwapTotal: {total} kB\nSwapFree: {free} kB\nHugePages: 0\n"}


def test_memory_and_swap(machine):
    host = machine(meminfo(2**21))
    assert seen(resources.memory(host)) == ("ok", "2.0 GiB available")
    assert seen(resources.swap(host)) == ("ok", "not in use")
    host = machine(meminfo(2**19, total=2**21, free=2**20))
    assert seen(resources.memory(host)) == ("warning", "0.5 GiB available")
    assert seen(resources.swap(host)) == ("note", "1.0 GiB in use")


# -- threads and cores


@pytest.mark.parametrize(
    ("count", "environ", "allowed", "expected"),
    [
        (4, {}, None, ("ok", "PyTorch uses 4")),
        (1, {"OMP_NUM_THREADS": "1"}, None, ("ok", "PyTorch uses 1, OMP_NUM_THREADS=1")),
        (4, {}, {0, 2}, ("warning", "PyTorch uses 4; 2 usable")),
        (1, {"MKL_NUM_THREADS": "8"}, None, ("warning", "PyTorch uses 1, MKL_NUM_THREADS=8; 4 usable")),
        (1, {"OMP_NUM_THREADS": "4,2"}, None, ("ok", "PyTorch uses 1, OMP_NUM_THREADS=4,2")),
    ],
)  # fmt: skip
def test_threads(count, environ, allowed, expected, machine):
    allowed = frozenset(allowed) if allowed else None
    host = machine(threads=count, environ=environ, allowed=allowed)
    assert seen(resources.threads(host)) == expected


def test_affinity(machine):
    assert resources.affinity(machine()) is None
    assert seen(resources.affinity(machine(allowed=frozenset(range(4))))) == ("ok", "4 of 4 cores")
    part = resources.affinity(machine(cores=16, allowed=frozenset({0, 1, 2, 8, 10, 11})))
    assert seen(part) == ("note", "6 of 16 cores: 0-2,8,10-11")


def test_hardware_threads(machine):
    assert resources.siblings(machine()) is None
    assert resources.siblings(machine({f"{CPU}/smt/active": "1\n"})).level == "note"
    assert resources.siblings(machine({f"{CPU}/smt/active": "0\n"})).level == "ok"


def test_hardware_threads_of_an_older_kernel(machine):
    siblings = f"{CPU}/cpu0/topology/thread_siblings_list"
    assert resources.siblings(machine({siblings: "0"})).level == "ok"
    assert resources.siblings(machine({siblings: "0,4"})).level == "note"


# -- clock


def test_governor(machine):
    assert resources.governor(machine()) is None  # not Linux
    hidden = resources.governor(machine({f"{CPU}/online": "0-3"}))
    assert seen(hidden) == ("note", "not visible")
    name = "cpufreq/scaling_governor"
    fast = machine({f"{CPU}/cpu0/{name}": "performance\n", f"{CPU}/cpu1/{name}": "performance\n"})
    assert seen(resources.governor(fast)) == ("ok", "performance")
    mixed = resources.governor(machine({f"{CPU}/cpu1/{name}": "powersave\n"}))
    assert seen(mixed) == ("warning", "performance, powersave")
    assert "cpupower" in mixed.remedy


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("intel_pstate/no_turbo", "0", ("note", "on")),
        ("intel_pstate/no_turbo", "1", ("ok", "off")),
        ("cpufreq/boost", "1", ("note", "on")),
        ("cpufreq/boost", "0", ("ok", "off")),
        ("elsewhere", "0", None),
    ],
)
def test_turbo(path, text, expected, machine):
    found = resources.turbo(machine({f"{CPU}/{path}": text}))
    assert seen(found) == expected
    if expected == ("note", "on"):
        assert path in found.remedy


# -- hypervisor and container


def test_virtualisation(machine):
    assert containers.virtual(machine()) is None
    assert containers.virtual(machine({"proc/cpuinfo": "flags : fpu sse"})).level == "ok"
    host = machine(
        {"proc/cpuinfo": "flags : fpu hypervisor sse", "sys/class/dmi/id/sys_vendor": "QEMU\n"}
    )
    assert seen(containers.virtual(host)) == ("note", "virtual machine (QEMU)")


def test_quota_of_version_2(machine):
    assert containers.quota(machine()) is None
    assert containers.quota(machine({f"{GROUP}/cpu.max": "max 100000"})) is None
    found = containers.quota(machine({f"{GROUP}/cpu.max": "150000 100000"}))
    assert seen(found) == ("warning", "1.5 of 4 cores")
    assert "at most 1 thread," in found.remedy
    assert containers.quota(machine({f"{GROUP}/cpu.max": "400000 100000"})).level == "ok"


def test_quota_of_version_1(machine):
    files = {f"{GROUP}/cpu/cpu.cfs_quota_us": "-1", f"{GROUP}/cpu/cpu.cfs_period_us": "100000"}
    assert containers.quota(machine(files)) is None
    files[f"{GROUP}/cpu/cpu.cfs_quota_us"] = "200000"
    assert seen(containers.quota(machine(files))) == ("warning", "2 of 4 cores")


def test_a_limit_of_any_group_above_counts(machine):
    files = {
        "proc/self/cgroup": "0::/outer/inner\n",
        f"{GROUP}/outer/cpu.max": "100000 100000",
        f"{GROUP}/outer/inner/cpu.max": "300000 100000",
        f"{GROUP}/outer/memory.max": str(2**30),
        f"{GROUP}/unrelated/cpu.max": "1000 100000",
    }
    assert seen(containers.quota(machine(files))) == ("warning", "1 of 4 cores")
    assert seen(containers.memory_limit(machine())) == ("warning", "1.0 GiB")


def test_a_group_of_version_1_by_its_controller(machine):
    files = {
        "proc/self/cgroup": "7:cpu,cpuacct:/docker/1\n3:memory:/docker/1\n",
        f"{GROUP}/cpu,cpuacct/docker/1/cpu.cfs_quota_us": "50000",
        f"{GROUP}/cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000",
        f"{GROUP}/memory/docker/1/memory.limit_in_bytes": str(4 * 2**30),
        f"{GROUP}/memory/memory.limit_in_bytes": "9223372036854771712",  # none
    }
    assert seen(containers.quota(machine(files))) == ("warning", "0.5 of 4 cores")
    assert seen(containers.memory_limit(machine())) == ("ok", "4.0 GiB")


def test_stops_by_the_quota(machine):
    assert containers.quota_stops(machine()) is None
    stat = f"{GROUP}/cpu.stat"
    assert containers.quota_stops(machine({stat: "usage_usec 5\nnr_throttled 0\n"})).level == "ok"
    found = containers.quota_stops(machine({stat: "nr_periods 9\nnr_throttled 7\n"}))
    assert found.level == "warning"
    assert "7 times" in found.value


def test_cpuset(machine):
    path = f"{GROUP}/cpuset.cpus.effective"
    assert containers.cpuset(machine({path: "0-3"})) is None
    assert seen(containers.cpuset(machine({path: "0,2-3"}))) == ("note", "0,2-3")
    assert containers.cpuset(machine({path: "junk"}, cores=1)).value == "junk"


# -- software


@pytest.mark.parametrize(
    ("found", "forced", "level"),
    [("AVX512", None, "ok"), ("DEFAULT", None, "warning"), ("AVX2", "avx2", "warning"), ("NEON", None, "ok")],
)  # fmt: skip
def test_instruction_set(found, forced, level):
    finding = software.judge_instructions(found, forced)
    assert finding.level == level
    assert found in finding.value


def test_runtimes():
    assert software.judge_runtimes({"eager": None, "b": None}).level == "ok"
    why = 'pip install "attnbench[runtimes]"'
    finding = software.judge_runtimes({"eager": None, "a": why, "b": why})
    assert seen(finding) == ("note", "eager; missing: a, b")
    assert finding.remedy == why  # once


def test_a_runtime_that_cannot_even_be_asked():
    def raises(name):
        raise ValueError("broken")

    assert software._missing(raises, "mine") == "mine: broken"


CLOCKS = {"sm_mhz": 1980, "temperature_c": 40, "power_w": 99.0, "persistence": True}


@pytest.mark.parametrize(
    ("clocks", "level", "word"),
    [
        (None, "note", "pip install nvidia-ml-py"),
        (CLOCKS | {"throttle_reasons": []}, "ok", ""),
        (CLOCKS | {"throttle_reasons": [], "persistence": False}, "note", "nvidia-smi -pm 1"),
        (CLOCKS | {"throttle_reasons": [], "persistence": None}, "ok", ""),
        (CLOCKS | {"throttle_reasons": ["power cap"]}, "warning", "lock"),
    ],
)
def test_accelerator(clocks, level, word):
    finding = software.judge_accelerator({"name": "cuda:0", "title": "Card", "clocks": clocks})
    assert finding.level == level
    assert word in finding.remedy
    assert finding.value.startswith("Card")


def test_an_accelerator_without_clocks_to_see():
    assert software.judge_accelerator({"name": "mps:0", "title": "mps"}).level == "ok"


# -- all together


def test_an_empty_machine_gives_no_traceback(machine):
    found = examine(machine())
    assert {one.name for one in found} >= {"threads", "versions", "instruction set"}
    assert not [one for one in found if "could not be looked at" in one.value]


@pytest.mark.parametrize("junk", ["", "\0\xff", "one two three: 4\n:::\nflags", "-1 -1", "1 0"])
def test_odd_files_give_no_traceback(junk, machine):
    files = (
        "proc/cpuinfo", "proc/meminfo", "proc/self/cgroup", f"{CPU}/smt/active",
        f"{CPU}/cpu0/cpufreq/scaling_governor", f"{CPU}/intel_pstate/no_turbo",
        f"{CPU}/cpu0/topology/thread_siblings_list", f"{GROUP}/cpu.max", f"{GROUP}/cpu.stat",
        f"{GROUP}/memory.max", f"{GROUP}/cpuset.cpus.effective", f"{GROUP}/cpu/cpu.cfs_quota_us",
    )  # fmt: skip
    host = machine(dict.fromkeys(files, junk))
    assert not [one for one in examine(host) if "could not be looked at" in one.value]


def test_folders_where_files_should_be(machine):
    host = machine({"proc/meminfo/x": "", f"{GROUP}/cpu.max/x": "", f"{CPU}/smt/active/x": ""})
    assert not [one for one in examine(host) if "could not be looked at" in one.value]


def test_a_check_that_fails_is_said_and_the_others_go_on(machine):
    def broken(host):
        raise OSError("no such thing\nmore")

    found = examine(machine(load=0.0), {"fails": broken, "load": resources.load})
    assert found[0] == SystemFinding(
        "broken", "note", "could not be looked at (OSError: no such thing)"
    )
    assert found[1].level == "ok"


def test_warnings_say_why_and_what_to_do(machine):
    host = machine(
        {
            **meminfo(1000, 2**21, 0),
            f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave",
            f"{GROUP}/cpu.max": "50000 100000",
            f"{GROUP}/cpu.stat": "nr_throttled 3",
            f"{GROUP}/memory.max": "1000000",
        },
        load=9.0,
        steal=9.0,
        threads=8,
        environ={"ATEN_CPU_CAPABILITY": "avx2"},
    )
    warnings = [one for one in examine(host) if one.level == "warning"]
    assert {one.name for one in warnings} == {
        "load", "steal time", "memory", "threads", "frequency governor", "processor quota",
        "quota stops", "memory limit", "instruction set",
    }  # fmt: skip
    assert all(one.why and one.remedy for one in warnings)
