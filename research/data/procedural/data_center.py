"""A simulated data center: weather, load, the cooling plant and its meters.

It stands where Gao (2014, Machine Learning Applications for Data Center Optimization) has two years
of a plant's private records: servers are cooled by process water, which gives its heat to tower
water through heat exchangers; where that is too warm chillers take a part, and in the cold dry
coolers do. What an operator sets varies by itself, so that its effect can be told from the
weather's, and `operate` says what the plant would have used under any other setting.

Sources: wet bulb by Stull (2011), «Wet-Bulb Temperature from Relative Humidity and Air
Temperature», equation 1; vapour pressure by Magnus; power of fans and pumps by the cube of their
speed. Sizes and rules of the plant are this project's.
"""

from __future__ import annotations

import dataclasses

import numpy as np

# Inputs as the paper lists them, with their units.
INPUTS = {
    "it_load": "kW",  # of servers
    "network_load": "kW",  # of the campus core network room
    "process_pumps": "running",
    "process_pump_speed": "%",  # mean of the variable frequency drives
    "condenser_pumps": "running",
    "condenser_pump_speed": "%",
    "towers": "running",
    "leaving_water_set_point": "F",  # mean of the towers
    "chillers": "running",
    "dry_coolers": "running",
    "injection_pumps": "running",  # of chilled water
    "injection_set_point": "F",
    "heat_exchanger_approach": "F",
    "wet_bulb": "F",
    "dry_bulb": "F",
    "enthalpy": "kJ/kg",
    "humidity": "%",
    "wind_speed": "mph",
    "wind_direction": "deg",
}
METER_NOISE = 0.0015  # standard deviation of the measured PUE

_PRESSURE = 1013.25  # hPa


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What a plant is run under, every field `[N]`: loads, weather, and what operators set.

    Attributes:
      it_load, network_load: kW.
      dry_bulb: F.
      humidity: %.
      wind_speed: mph.
      wind_direction: degrees.
      leaving_water_set_point: of the towers, F.
      injection_set_point: F; process water that would be warmer gets chilled water.
      fouling: of the heat exchangers, F.
      extra_towers, extra_process_pumps, extra_condenser_pumps, extra_chillers,
        extra_injection_pumps, extra_dry_coolers: units running beyond (or short of) what staging
        asks for.
    """

    it_load: np.ndarray
    network_load: np.ndarray
    dry_bulb: np.ndarray
    humidity: np.ndarray
    wind_speed: np.ndarray
    wind_direction: np.ndarray
    leaving_water_set_point: np.ndarray
    injection_set_point: np.ndarray
    fouling: np.ndarray
    extra_towers: np.ndarray
    extra_process_pumps: np.ndarray
    extra_condenser_pumps: np.ndarray
    extra_chillers: np.ndarray
    extra_injection_pumps: np.ndarray
    extra_dry_coolers: np.ndarray

    def replace(self, **values: np.ndarray) -> Conditions:
        """The same conditions but for these."""
        return dataclasses.replace(self, **values)

    def rows(self, index: np.ndarray | slice) -> Conditions:
        """Some of the samples."""
        fields = dataclasses.fields(self)
        return Conditions(**{field.name: getattr(self, field.name)[index] for field in fields})


def to_celsius(fahrenheit: np.ndarray) -> np.ndarray:
    return (fahrenheit - 32) / 1.8


def wet_bulb(dry_bulb: np.ndarray, humidity: np.ndarray) -> np.ndarray:
    """Wet-bulb temperature in C of air in C and % (Stull 2011, equation 1; to about 0.3 C)."""
    t, rh = dry_bulb, humidity
    return (
        t * np.arctan(0.151977 * np.sqrt(rh + 8.313659))
        + np.arctan(t + rh)
        - np.arctan(rh - 1.676331)
        + 0.00391838 * rh**1.5 * np.arctan(0.023101 * rh)
        - 4.686035
    )


def enthalpy(dry_bulb: np.ndarray, humidity: np.ndarray) -> np.ndarray:
    """Enthalpy of moist air at sea level in kJ per kg of dry air; arguments in C and %."""
    vapour = humidity / 100 * 6.112 * np.exp(17.62 * dry_bulb / (243.12 + dry_bulb))  # hPa
    mixing_ratio = 0.622 * vapour / (_PRESSURE - vapour)
    return 1.006 * dry_bulb + mixing_ratio * (2501 + 1.86 * dry_bulb)


def operate(conditions: Conditions) -> tuple[np.ndarray, np.ndarray]:
    """What the plant does under these conditions.

    Returns:
      inputs `[N, 19]` in the order of `INPUTS`, and the true PUE `[N]`, without the meters' noise.
    """
    c = conditions
    it, critical = c.it_load, c.it_load + c.network_load
    air_c = to_celsius(c.dry_bulb)
    wet_f = 32 + 1.8 * wet_bulb(air_c, c.humidity)

    # Losses of transformers and uninterruptible supplies, which grow with the square; fixed loads.
    losses = 0.018 * it + 0.018 * it**2 / 10_000 + 50
    heat = critical + 0.6 * losses

    # Dry coolers take up to half of the heat in the cold.
    dry_share = 0.5 * np.clip((50 - c.dry_bulb) / 30, 0, 1)
    dry_coolers = _units(dry_share * heat / 450, c.extra_dry_coolers, 0, 12)
    dry_coolers = np.where(dry_share > 0, dry_coolers, 0)
    dry_power = 7.0 * dry_coolers

    # Chillers take the share by which process water would be warmer than it may be.
    approach = 1.5 + 2.0 * heat / 12_000 + c.fouling
    process_water = c.leaving_water_set_point + approach
    chilled_share = np.clip((process_water - c.injection_set_point) / 24, 0, 1)
    chilled = chilled_share * heat
    needed = np.ceil(chilled / 1500)
    chillers = np.where(chilled > 0, np.clip(needed + c.extra_chillers, 1, 8), 0)
    performance = np.clip(7.5 - 0.05 * (wet_f - 45), 4.5, 8)
    chiller_power = chilled / performance + 22 * chillers
    injection_pumps = np.where(chillers > 0, chillers + c.extra_injection_pumps, 0)
    injection_power = 9.0 * injection_pumps

    # Air handlers blow harder, the warmer the water is that they get: warm water is not free.
    delivered = np.minimum(process_water, c.injection_set_point)
    air_power = 65 * (heat / 8500 * 30 / (95 - delivered)) ** 3

    # Towers: their fans turn faster for more heat, for fewer towers, and for a smaller approach to
    # the wet bulb.
    tower_heat = heat * (1 - dry_share) + chiller_power
    towers = _units(tower_heat / 1200 + 1, c.extra_towers, 2, 14)
    tower_approach = np.maximum(c.leaving_water_set_point - wet_f, 1.5)
    airflow = tower_heat / (1200 * towers) * 12 / (tower_approach + 4) * (1 - 0.004 * c.wind_speed)
    fan_power = 45 * towers * np.clip(airflow, 0.2, 1.15) ** 3

    condenser_pumps = _units(tower_heat / 1500, c.extra_condenser_pumps, 1, 10)
    condenser_speed = np.clip(tower_heat / (1500 * condenser_pumps), 0.4, 1)
    process_pumps = _units(heat / 1500, c.extra_process_pumps, 1, 10)
    process_speed = np.clip(heat / (1500 * process_pumps), 0.4, 1)
    pump_power = 40 * condenser_pumps * condenser_speed**3 + 55 * process_pumps * process_speed**3

    cooling = dry_power + chiller_power + injection_power + air_power + fan_power + pump_power
    inputs = {
        "it_load": it,
        "network_load": c.network_load,
        "process_pumps": process_pumps,
        "process_pump_speed": 100 * process_speed,
        "condenser_pumps": condenser_pumps,
        "condenser_pump_speed": 100 * condenser_speed,
        "towers": towers,
        "leaving_water_set_point": c.leaving_water_set_point,
        "chillers": chillers,
        "dry_coolers": dry_coolers,
        "injection_pumps": injection_pumps,
        "injection_set_point": c.injection_set_point,
        "heat_exchanger_approach": approach,
        "wet_bulb": wet_f,
        "dry_bulb": c.dry_bulb,
        "enthalpy": enthalpy(air_c, c.humidity),
        "humidity": c.humidity,
        "wind_speed": c.wind_speed,
        "wind_direction": c.wind_direction,
    }
    columns = np.stack([inputs[name] for name in INPUTS], axis=1)
    return columns.astype(np.float32), 1 + (losses + cooling) / critical


def _units(needed: np.ndarray, extra: np.ndarray, least: int, most: int) -> np.ndarray:
    """Units that run: what is needed, rounded up, and what an operator adds."""
    return np.clip(np.ceil(needed) + extra, least, most)


def conditions(num_samples: int, seed: int, minutes: float = 15.0) -> Conditions:
    """Loads, weather and settings of a plant, one sample every few minutes.

    Years have seasons, days have hours, loads grow; settings are held for hours and days.

    Args:
      num_samples: N.
      seed: of all that is random.
      minutes: between samples.
    """
    rng = np.random.default_rng(seed)
    hours = np.arange(num_samples) * minutes / 60
    year, day = 2 * np.pi * hours / 8766, 2 * np.pi * hours / 24
    week = 2 * np.pi * hours / 168

    def wander(deviation: float, memory: float) -> np.ndarray:
        return _autoregressive(rng, num_samples, deviation, memory, minutes / 60)

    def held(low: float, high: float, mean_hours: float) -> np.ndarray:
        return _held(rng, num_samples, low, high, mean_hours, minutes / 60)

    def staged(chances: dict[int, float], mean_hours: float) -> np.ndarray:
        """Whole numbers with their chances, held for hours."""
        edges = np.cumsum(list(chances.values()))
        place = np.searchsorted(edges, held(0, edges[-1], mean_hours))
        return np.array(list(chances))[np.minimum(place, len(chances) - 1)]

    dry_bulb = 54 - 17 * np.cos(year) - 7 * np.cos(day - 0.8) + wander(5, 36)
    humidity = np.clip(66 + 6 * np.cos(year) + 14 * np.cos(day - 0.8) + wander(13, 24), 15, 100)
    it_load = 7000 + 2500 * hours / 17_532 + 350 * np.cos(day - 3.6) + 150 * np.cos(week)
    it_load = it_load + wander(300, 60)
    wet_f = 32 + 1.8 * wet_bulb(to_celsius(dry_bulb), humidity)
    return Conditions(
        it_load=it_load,
        network_load=290 + 0.015 * it_load + wander(12, 12),
        dry_bulb=dry_bulb,
        humidity=humidity,
        wind_speed=np.clip(7 + 2 * np.cos(day - 4) + wander(3.5, 6), 0, None),
        wind_direction=np.mod(225 + wander(70, 18), 360),
        leaving_water_set_point=np.clip(wet_f + 7, 58, None) + held(-2, 6, 30),
        injection_set_point=held(64, 76, 48),
        fouling=np.mod(hours / 2190, 1) * 1.5 + np.abs(wander(0.3, 48)),
        extra_towers=staged({-1: 0.2, 0: 0.4, 1: 0.25, 2: 0.15}, 12),
        extra_process_pumps=staged({0: 0.7, 1: 0.3}, 20),
        extra_condenser_pumps=staged({0: 0.7, 1: 0.3}, 20),
        extra_chillers=staged({0: 0.75, 1: 0.25}, 10),
        extra_injection_pumps=staged({0: 0.6, 1: 0.4}, 16),
        extra_dry_coolers=staged({-1: 0.15, 0: 0.6, 1: 0.25}, 16),
    )


def _autoregressive(
    rng: np.random.Generator, num: int, deviation: float, memory: float, hours: float
) -> np.ndarray:
    """A process of first order `[num]`, whose correlation falls to 1/e in `memory` hours."""
    from scipy.signal import lfilter

    keep = np.exp(-hours / memory)
    noise = rng.normal(0, deviation * np.sqrt(1 - keep**2), num)
    noise[:1] = rng.normal(0, deviation)
    return lfilter([1.0], [1.0, -keep], noise)


def _held(
    rng: np.random.Generator, num: int, low: float, high: float, mean_hours: float, hours: float
) -> np.ndarray:
    """Values `[num]` uniform in a range, each kept for a time whose mean is `mean_hours`."""
    changes = rng.random(num) < hours / mean_hours
    values = rng.uniform(low, high, num)
    return values[np.maximum.accumulate(np.where(changes, np.arange(num), 0))]


def measure(true_pue: np.ndarray, seed: int) -> np.ndarray:
    """PUE `[N]` as meters read it: with Gaussian noise of deviation `METER_NOISE`."""
    rng = np.random.default_rng([seed, 1])
    return true_pue + rng.normal(0, METER_NOISE, len(true_pue))
