"""The simulated data center: weather by known values, power by the laws that it states."""

import numpy as np
import pytest

from research.data.procedural import data_center

COLUMN = {name: i for i, name in enumerate(data_center.INPUTS)}


@pytest.fixture(scope="module")
def plant():
    return data_center.conditions(8766, seed=3, minutes=60.0)  # a year


def test_the_wet_bulb_is_stulls():
    """His worked example: 20 C at 50 % is 13.7 C; saturated air is as cold as its wet bulb."""
    assert data_center.wet_bulb(np.array(20.0), np.array(50.0)) == pytest.approx(13.7, abs=0.05)
    assert data_center.wet_bulb(np.array(25.0), np.array(100.0)) == pytest.approx(25.0, abs=0.3)


def test_the_enthalpy_is_that_of_tables():
    """ASHRAE's psychrometric table at sea level: 25 C at 50 % has 50.4 kJ/kg; dry air 1.006 T."""
    assert data_center.enthalpy(np.array(25.0), np.array(50.0)) == pytest.approx(50.4, rel=0.01)
    assert data_center.enthalpy(np.array(10.0), np.array(0.0)) == pytest.approx(10.06)


def test_a_plant_is_a_function_of_its_seed():
    one, same, other = (data_center.conditions(100, seed, 30.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(data_center.operate(one)[0], data_center.operate(same)[0])
    assert not np.array_equal(one.dry_bulb, other.dry_bulb)


def test_values_are_those_of_a_plant(plant):
    inputs, pue = data_center.operate(plant)
    assert inputs.shape == (8766, 19) and np.isfinite(inputs).all()
    assert 1.05 < pue.min() < 1.1 and 1.2 < pue.max() < 1.45
    wet, dry = inputs[:, COLUMN["wet_bulb"]], inputs[:, COLUMN["dry_bulb"]]
    assert np.mean(wet <= dry + 0.6) > 0.999  # the formula is good to 0.3 C
    summer = slice(3650, 5110)
    assert dry[summer].mean() > dry.mean() + 8 and pue[summer].mean() > pue.mean()


def test_meters_err_by_what_is_stated():
    error = data_center.measure(np.full(20_000, 1.1), seed=0) - 1.1
    assert error.std() == pytest.approx(data_center.METER_NOISE, rel=0.03)
    assert abs(error.mean()) < 5e-5


def test_more_towers_of_the_same_heat_take_less_power(plant):
    """The fans' power goes with the cube of a speed that falls with their number."""
    inputs, pue = data_center.operate(plant)
    more, less_pue = data_center.operate(plant.replace(extra_towers=plant.extra_towers + 1))
    added = more[:, COLUMN["towers"]] > inputs[:, COLUMN["towers"]]
    assert added.mean() > 0.9
    assert np.mean(less_pue[added] < pue[added]) > 0.95


def test_the_power_of_a_hot_moment_by_hand():
    """Every term written out."""
    one = {name: np.array([value]) for name, value in HOT.items()}
    conditions = data_center.Conditions(**one)
    _, pue = data_center.operate(conditions)

    losses = 0.018 * 8000 + 0.018 * 8000**2 / 10_000 + 50
    heat = 8400 + 0.6 * losses
    air_c = (90 - 32) / 1.8
    wet = 32 + 1.8 * float(data_center.wet_bulb(np.array(air_c), np.array(50.0)))
    process = 84 + 1.5 + 2 * heat / 12_000 + 1
    chilled = (process - 70) / 24 * heat
    chillers = np.ceil(chilled / 1500)
    chiller_power = chilled / np.clip(7.5 - 0.05 * (wet - 45), 4.5, 8) + 22 * chillers
    air_power = 65 * (heat / 8500 * 30 / (95 - 70)) ** 3
    tower_heat = heat + chiller_power
    towers = np.ceil(tower_heat / 1200 + 1)
    airflow = tower_heat / (1200 * towers) * 12 / (max(84 - wet, 1.5) + 4) * (1 - 0.004 * 5)
    fans = 45 * towers * min(max(airflow, 0.2), 1.15) ** 3
    condensers, process_pumps = np.ceil(tower_heat / 1500), np.ceil(heat / 1500)
    pumps = 40 * condensers * (tower_heat / 1500 / condensers) ** 3
    pumps += 55 * process_pumps * (heat / 1500 / process_pumps) ** 3
    overhead = losses + chiller_power + 9 * chillers + air_power + fans + pumps
    assert pue[0] == pytest.approx(1 + overhead / 8400)


HOT = {
    "it_load": 8000.0,
    "network_load": 400.0,
    "dry_bulb": 90.0,
    "humidity": 50.0,
    "wind_speed": 5.0,
    "wind_direction": 0.0,
    "leaving_water_set_point": 84.0,
    "injection_set_point": 70.0,
    "fouling": 1.0,
    "extra_towers": 0,
    "extra_process_pumps": 0,
    "extra_condenser_pumps": 0,
    "extra_chillers": 0,
    "extra_injection_pumps": 0,
    "extra_dry_coolers": 0,
}


def test_no_chiller_runs_where_the_water_is_cold_enough(plant):
    inputs, _ = data_center.operate(plant)
    water = plant.leaving_water_set_point + inputs[:, COLUMN["heat_exchanger_approach"]]
    cold = water < plant.injection_set_point - 0.01
    assert (inputs[cold, COLUMN["chillers"]] == 0).all()
    assert (inputs[water > plant.injection_set_point + 0.01, COLUMN["chillers"]] >= 1).all()


def test_settings_vary_by_themselves(plant):
    """What an operator sets above the wet bulb is not told by the weather."""
    inputs, _ = data_center.operate(plant)
    above = plant.leaving_water_set_point - inputs[:, COLUMN["wet_bulb"]]
    warm = inputs[:, COLUMN["wet_bulb"]] > 52  # elsewhere the set point has a floor
    assert above[warm].std() > 1.5
    assert abs(np.corrcoef(above[warm], inputs[warm, COLUMN["wet_bulb"]])[0, 1]) < 0.25
