"""What a test text says too is taken out of the training texts, and nothing else."""

from research.data.text.contamination import without_overlap

LONG = " ".join(f"w{i}" for i in range(300))
SECRET = " ".join(f"s{i}" for i in range(20))


def test_clean_texts_stay_as_they_are():
    assert without_overlap([LONG, "short"], [SECRET]) == [LONG, "short"]
    assert without_overlap([SECRET], [SECRET], words=0) == [SECRET]


def test_the_overlap_is_cut_out_with_its_surroundings():
    first, second = without_overlap([f"{LONG} {SECRET} {LONG}"], [SECRET])
    for piece in (first, second):
        assert not set(piece.split()) & set(SECRET.split()) and len(piece) >= 200
    assert LONG.startswith(first) and LONG.endswith(second)
    assert len(LONG) - 210 < len(first) < len(LONG) - 190


def test_case_and_punctuation_do_not_hide_it():
    hidden = SECRET.upper().replace(" ", ", ")
    assert all("S5" not in text for text in without_overlap([f"{LONG} {hidden} {LONG}"], [SECRET]))


def test_fewer_words_in_common_are_no_overlap():
    twelve = " ".join(SECRET.split()[:12])
    text = f"{LONG} {twelve} {LONG}"
    assert without_overlap([text], [SECRET]) == [text]


def test_short_rests_and_documents_in_shreds_are_dropped():
    assert without_overlap([f"a few words {SECRET} and a few more"], [SECRET]) == []
    shreds = f" {SECRET} ".join([LONG] * 12)
    assert without_overlap([shreds], [SECRET]) == []


def test_common_phrases_stay():
    texts = [f"{LONG} {SECRET} {LONG}"] * 11
    assert without_overlap(texts, [SECRET]) == texts
    assert len(without_overlap(texts[:10], [SECRET])) == 20
