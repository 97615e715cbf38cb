"""Spectra against SciPy and against what is known of sines."""

import numpy as np
import pytest
from scipy import signal

from research.data.audio import spectrum

RATE, HOP, WINDOW = 8000, 80, 240


def noise(frames):
    return np.random.default_rng(0).normal(size=frames * HOP)


def test_stft_is_scipys():
    x = noise(12)
    transform = signal.ShortTimeFFT(signal.windows.hann(WINDOW, sym=False), HOP, RATE)
    # SciPy's slice p has its middle at p HOP: ours lie half a hop later.
    later = np.concatenate([np.zeros(HOP // 2), x, np.zeros(WINDOW)])
    expected = transform.stft(later, p0=1, p1=13, k_offset=0)
    found = spectrum.stft(x, WINDOW, HOP).T
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)


def test_a_frame_stands_for_its_own_samples():
    x = np.zeros(10 * HOP)
    x[4 * HOP + HOP // 2] = 1.0
    loud = np.abs(spectrum.stft(x, WINDOW, HOP)).sum(1)
    assert loud.argmax() == 4 and loud[3] == pytest.approx(loud[5])


def test_mel_bands_peak_where_the_scale_says():
    filters = spectrum.mel_filters(20, 512, RATE)
    hertz = np.fft.rfftfreq(512, 1 / RATE)
    mel = 2595 * np.log10(1 + hertz[filters.argmax(1)] / 700)
    even = np.arange(1, 21) / 21 * 2595 * np.log10(1 + 4000 / 700)
    assert np.abs(mel - even).max() < 2595 * np.log10(1 + 16 / 700)  # a frequency's distance
    inside = (hertz > hertz[filters[0].argmax()]) & (hertz < hertz[filters[-1].argmax()])
    np.testing.assert_allclose(filters.sum(0)[inside], 1.0, atol=1e-9)  # triangles add up


def test_a_tone_is_in_its_band_and_ten_times_louder_is_one_more():
    t = np.arange(10 * HOP) / RATE
    tone = 0.05 * np.sin(2 * np.pi * 1000 * t)
    mel = spectrum.log_mel(tone, 20, WINDOW, HOP, RATE)
    filters = spectrum.mel_filters(20, WINDOW, RATE)
    band = filters[:, round(1000 * WINDOW / RATE)].argmax()
    assert (mel[2:-2].argmax(1) == band).all()
    louder = spectrum.log_mel(10 * tone, 20, WINDOW, HOP, RATE)
    np.testing.assert_allclose(louder[2:-2, band] - mel[2:-2, band], 1.0, atol=1e-4)
    assert spectrum.log_mel(0 * tone, 20, WINDOW, HOP, RATE).max() == pytest.approx(-5)


def test_a_full_sine_is_at_zero_decibels_in_its_place():
    tone = np.sin(2 * np.pi * 1000 * np.arange(1590) / RATE)
    levels = spectrum.decibels(tone, window=160, hop=40)
    assert levels.shape == (81, 40)
    assert (levels[:, 5:-5].argmax(0) == 20).all()  # 1000 Hz in steps of 50
    np.testing.assert_allclose(levels[20, 5:-5], 0.0, atol=0.05)
    assert spectrum.decibels(np.zeros(400)).max() == spectrum.SILENCE


def test_lengths_that_do_not_go_together():
    with pytest.raises(ValueError, match="do not go together"):
        spectrum.stft(np.zeros(HOP + 1), WINDOW, HOP)
    with pytest.raises(ValueError, match="too many"):
        spectrum.log_mel(np.zeros(HOP), 400, WINDOW, HOP, RATE)
