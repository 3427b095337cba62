"""Well-known boards with microcontrollers: how much memory and flash a network may take there. Open to other packages.

A board bounds memory only: its budgets are `ram_kb` and `flash_kb`. Latency is not modelled, because there is no table
of measurements of such networks to fit; measure on the board. A part of RAM and flash is left to the interpreter, its
stack and the program around it; that part is our estimate, and an argument of `Board`.
"""

from __future__ import annotations

from dataclasses import dataclass

from explorer.core.registry import Registry

KEPT_RAM, KEPT_FLASH = 48.0, 128.0  # kB that are left to the interpreter and to the program (an estimate)


@dataclass(frozen=True)
class Board:
    """A board.

    Attributes:
        name: name under which it is registered.
        title: what it is called on its box.
        core: processor.
        mhz: clock.
        ram_kb, flash_kb: all of its RAM and flash that one program can use, in kB (1,024 bytes).
        source: where these figures stand.
        kept_ram_kb, kept_flash_kb: what is left to everything but the network.
    """

    name: str
    title: str
    core: str
    mhz: int
    ram_kb: float
    flash_kb: float
    source: str
    kept_ram_kb: float = KEPT_RAM
    kept_flash_kb: float = KEPT_FLASH

    @property
    def budget(self) -> dict[str, float]:
        """What a network may take: device -> kB."""
        return {"ram_kb": self.ram_kb - self.kept_ram_kb, "flash_kb": self.flash_kb - self.kept_flash_kb}


BOARDS: Registry[Board] = Registry("board", "explorer.boards", home="explorer.devices")
for _board in (
    Board("nano-33-ble", "Arduino Nano 33 BLE Sense", "Cortex-M4F (nRF52840)", 64, 256, 1024,
          "Nordic nRF52840 data sheet"),
    Board("pico", "Raspberry Pi Pico", "Cortex-M0+ (RP2040)", 133, 264, 2048, "RP2040 and Pico data sheets"),
    Board("pico-2", "Raspberry Pi Pico 2", "Cortex-M33 (RP2350)", 150, 520, 4096, "RP2350 and Pico 2 data sheets"),
    Board("stm32f746", "STM32F746G Discovery", "Cortex-M7", 216, 320, 1024, "ST STM32F746NG data sheet"),
    Board("stm32h743", "NUCLEO-H743ZI", "Cortex-M7", 480, 512, 2048,
          "ST STM32H743ZI data sheet; its largest piece of RAM (AXI SRAM) of 1,024 kB"),
    Board("esp32-s3", "ESP32-S3-DevKitC-1 (N8)", "Xtensa LX7", 240, 512, 8192,
          "Espressif ESP32-S3 data sheet; without PSRAM"),
):  # fmt: skip
    BOARDS.register(_board.name, _board)


def lacking(board: Board, costs: dict[str, float]) -> str:
    """Say in bytes what a board lacks for a network with these costs; "" where it lacks nothing.

    >>> lacking(BOARDS["pico"], {"ram_kb": 217.0, "flash_kb": 100.0})
    'Raspberry Pi Pico (216 kB of RAM and 1920 kB of flash for a network) lacks 1,024 bytes of RAM'
    """
    words = {"ram_kb": "RAM", "flash_kb": "flash"}
    short = {name: round(1024 * (costs[name] - limit)) for name, limit in board.budget.items() if costs[name] > limit}
    if not short:
        return ""
    ram, flash = (f"{limit:g} kB" for limit in board.budget.values())
    said = " and ".join(f"{bytes_:,} bytes of {words[name]}" for name, bytes_ in short.items())
    return f"{board.title} ({ram} of RAM and {flash} of flash for a network) lacks {said}"
