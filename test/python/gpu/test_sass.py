"""Properties of machine code: loops, hazards, on listings made for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "test" / "sass"))

import properties  # noqa: E402

QK = [
    "HGMMA.64x128x16.F32.BF16 R24, gdesc[UR8], RZ, !UPT",
    "HGMMA.64x128x16.F32.BF16 R24, gdesc[UR8], R24, gsb0",
]
PV = ["HGMMA.64x64x16.F32.BF16 R88, R120, gdesc[UR12], R88, gsb0"]
WAIT0 = ["WARPGROUP.DEPBAR.LE gsb0, 0x0"]
WAIT1 = ["WARPGROUP.DEPBAR.LE gsb0, 0x1"]
SOFTMAX = ["FADD R2, R24, R25", "MUFU.EX2 R3, R26"]
RESCALE = ["FMUL R88, R88, R5"]
PACK = ["F2FP.BF16.F32.PACK_AB R120, R25, R24"]


def listing(*blocks: list[str]) -> str:
    """A kernel in nvdisasm's form; names that end in ":" are labels."""
    lines, address = ["kernel:", ".text.kernel:"], 0
    for block in blocks:
        for text in block:
            if text.endswith(":"):
                lines.append(text)
                continue
            lines.append(f"        /*{address:04x}*/                   {text} ;")
            address += 16
    return "\n".join(lines) + "\n"


def kinds(*blocks: list[str]) -> list[str]:
    found = properties.hazards(properties.parse(listing(*blocks)))
    return [f"{h.kind}: {h.text}" for h in found]


def test_a_pipelined_step_is_clean() -> None:
    step = [*QK, *PV, *WAIT1, *SOFTMAX, *WAIT0, *RESCALE, *PACK]
    loop = [".L_x_1:", *step, "@P0 BRA `(.L_x_1)", "EXIT"]
    assert kinds(loop) == []


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([QK, SOFTMAX[:1]], "touches an accumulator: FADD R2, R24, R25"),
        ([QK, PV, WAIT1, RESCALE], "touches an accumulator: FMUL R88, R88, R5"),
        ([PV, PACK], "writes an A operand: F2FP.BF16.F32.PACK_AB R120, R25, R24"),
        ([PV, ["LDS.128 R122, [R2]"]], "writes an A operand: LDS.128 R122, [R2]"),
        ([QK, ["STG.E.128 [R2.64], R22"]], "touches an accumulator: STG.E.128"),
    ],
)
def test_hazards_are_found(blocks: list[list[str]], expected: str) -> None:
    (found,) = kinds(*blocks, ["EXIT"])
    assert found.startswith(expected)
    assert kinds(*blocks[:-1], WAIT0, blocks[-1], ["EXIT"]) == []


def test_paths_that_meet_end_their_group() -> None:
    empty = "HGMMA.64x8x16.F16 RZ, gdesc[URZ], RZ, !UPT, gsb0"
    text = [QK[0], "@P0 BRA `(.L_x_1)", QK[0], ".L_x_1:", empty, *PV]
    assert kinds([*text, *WAIT1, *SOFTMAX, "EXIT"]) == []
    assert len(kinds([*text, *WAIT1, *RESCALE, "EXIT"])) == 1


def test_reading_an_a_operand_is_allowed() -> None:
    assert kinds(PV, ["MOV R9, R121"], ["EXIT"]) == []


def test_hazards_across_a_back_edge() -> None:
    loop = [".L_x_1:", *SOFTMAX[:1], *QK, "@P0 BRA `(.L_x_1)", *WAIT0, "EXIT"]
    assert kinds(loop) == ["touches an accumulator: FADD R2, R24, R25"]


def test_hazards_on_the_path_not_taken() -> None:
    text = [*QK, "@P0 BRA `(.L_x_1)", *WAIT0, ".L_x_1:", *SOFTMAX[:1], "EXIT"]
    assert len(kinds(text)) == 1
    joined = [*QK, "BRA `(.L_x_1)", *SOFTMAX, ".L_x_1:", *WAIT0, "EXIT"]
    assert kinds(joined) == []


def test_instructions_that_never_run_do_no_harm() -> None:
    assert kinds(QK, ["@!PT FADD R2, R24, R25"], WAIT0, ["EXIT"]) == []


def test_loops() -> None:
    text = listing(
        ["R2UR UR7, R2", ".L_x_0:"],
        [".L_x_1:", *QK, *PV, *WAIT0, *SOFTMAX, "@!P1 BRA `(.L_x_9)"],
        [".L_x_2:", "@P0 STS [R2], R3", "UIADD3 UR4, UR4, 0x1, URZ"],
        ["@P0 BRA `(.L_x_1)"],
        [".L_x_3:", *QK, *WAIT0, "FSEL R24, R24, R3, P1", "R2UR UR9, R3"],
        ["R2P PR, R7, 0x7e", "STS [R2], R3", "@P0 BRA `(.L_x_3)"],
        ["@P2 BRA `(.L_x_0)", "STL [R1], R2", "EXIT"],
        # A wait's retry, out of line: its jump back is no loop.
        [".L_x_9:", "SYNCS.PHASECHK.TRANS64.TRYWAIT P1, [UR4], R4"],
        ["@!P1 BRA `(.L_x_9)", "BRA `(.L_x_2)"],
    )
    found = properties.properties(text)
    assert (found["products"], found["local_accesses"]) == (5, 1)
    masked, full = sorted(found["loops"], key=lambda loop: -loop["mask_operations"])
    assert (full["products"], masked["products"]) == (3, 2)
    assert full["instructions"] == 10
    assert (full["r2ur"], full["mask_operations"], full["shared_stores"]) == (0, 0, 0)
    assert (masked["r2ur"], masked["mask_operations"]) == (1, 2)
    assert masked["shared_stores"] == 1
    assert full["mufu"] == 1


def test_a_wait_out_of_line_is_no_loop_of_its_own() -> None:
    text = listing(
        [".L_x_1:", "SYNCS P0, [UR4]", "@!P0 BRA `(.L_x_9)"],
        [".L_x_2:", *QK, *WAIT0, "@P1 BRA `(.L_x_1)", "EXIT"],
        [".L_x_9:", "SYNCS P0, [UR4]", "@!P0 BRA `(.L_x_9)", "BRA `(.L_x_2)"],
    )
    (loop,) = properties.properties(text)["loops"]
    assert (loop["start"], loop["instructions"]) == (0, 6)


def test_a_kernel_without_products_has_no_loops() -> None:
    assert properties.properties(listing(["EXIT"]))["loops"] == []
    assert properties.properties("")["instructions"] == 0


def kernels(**bodies: list[str]) -> str:
    """A cubin of several kernels."""
    return "".join(
        f"//---- .text.{name} ----\n{listing(body)}" for name, body in bodies.items()
    )


def test_what_runs_ahead_of_the_wait_for_other_launches() -> None:
    good = ["MOV R2, R3", "UTMACCTL.PF [UR4]", "ACQBULK", "PREEXIT", "LDG.E R4, [R2]"]
    assert properties.early_accesses(kernels(a=[*good, "EXIT"], b=["EXIT"])) == [
        "b: EXIT"
    ]
    for early in (
        "LDG.E.CONSTANT R4, [R2]",
        "STG.E [R2], R4",
        "UTMALDG.5D [UR8], [UR6]",
    ):
        found = properties.early_accesses(kernels(a=[early, *good, "EXIT"]))
        assert found == [f"a: {early}"]
    # On one of two ways; behind a jump.
    around = ["@P0 BRA `(.L_x_1)", "ACQBULK", ".L_x_1:", "RED.E [R2], R4", "EXIT"]
    assert properties.early_accesses(kernels(a=around)) == [
        "a: EXIT",
        "a: RED.E [R2], R4",
    ]
    assert properties.early_accesses(kernels(a=["@P0 ACQBULK", "EXIT"])) == ["a: EXIT"]
    shared = ["LDS R2, [R3]", "@!PT STG.E [R2], R4", "SYNCS [UR4]", *good, "EXIT"]
    assert properties.early_accesses(kernels(a=shared)) == []


def test_disassembling(tmp_path: Path) -> None:
    if properties.find_nvdisasm() is None:
        pytest.skip("no nvdisasm on this machine")
    broken = tmp_path / "broken.cubin"
    broken.write_bytes(b"nothing")
    with pytest.raises(RuntimeError, match="^nvdisasm: "):
        properties.disassemble(broken)
