"""Sound files: what is written is read again, and what is wrong is said in one line."""

import io
import wave

import numpy as np
import pytest
import soundfile

from research.core import UserError
from research.data.audio.files import encode_wav, read_sound, resampled


def test_what_is_written_is_read_again(tmp_path):
    sound = np.array([0.0, 0.25, -0.5, 1.0, -1.0, 3.0], np.float32)
    (tmp_path / "a.wav").write_bytes(encode_wav(sound, 8000))
    found = read_sound(tmp_path / "a.wav", 8000)
    np.testing.assert_allclose(found, np.clip(sound, -1, 1), atol=1e-4)
    with wave.open(io.BytesIO(encode_wav(sound, 8000))) as file:
        form = file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()
        assert form == (1, 2, 8000, 6)


def test_channels_become_their_mean(tmp_path):
    both = np.array([[0.5, -0.5], [0.5, 0.0]])
    soundfile.write(tmp_path / "a.flac", both, 8000)
    np.testing.assert_allclose(read_sound(tmp_path / "a.flac", 8000), [0.0, 0.25], atol=1e-4)


def test_another_rate_is_refused_or_converted(tmp_path):
    t = np.arange(16000) / 16000
    tone = 0.5 * np.sin(2 * np.pi * 440 * t)
    (tmp_path / "a.wav").write_bytes(encode_wav(tone, 16000))
    with pytest.raises(UserError, match="a.wav has 16000 samples a second, not 8000"):
        read_sound(tmp_path / "a.wav", 8000)
    found = read_sound(tmp_path / "a.wav", 8000, resample=True)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    np.testing.assert_allclose(found[100:-100], expected[100:-100], atol=0.01)
    assert resampled(tone, 8000, 8000).dtype == np.float32


def test_bad_files_in_one_line(tmp_path):
    (tmp_path / "empty.wav").write_bytes(encode_wav(np.zeros(0), 8000))
    (tmp_path / "words.wav").write_text("no sound")
    for name, words in {
        "missing.wav": "no sound .*missing.wav",
        "empty.wav": "empty.wav is empty: it has no samples",
        "words.wav": "words.wav is no sound that can be read",
    }.items():
        with pytest.raises(UserError, match=words) as found:
            read_sound(tmp_path / name, 8000)
        assert "\n" not in str(found.value)
