from research.data.text.bag_of_words import BagOfWords, words_of


def test_words_are_letters_in_lower_case():
    assert words_of("Don't raise_Error2(É)") == ["don", "t", "raise", "error", "é"]


def test_the_commonest_words_and_then_the_alphabet():
    bag = BagOfWords.train(["b a c", "b a", "b d"], 3)
    assert bag.words == ("b", "a", "c")


def test_a_text_is_which_words_occur():
    bag = BagOfWords(["the", "cat", "sat"])
    assert bag("The cat, the CAT and the dog.").tolist() == [1, 1, 0]
    assert bag("", 5).tolist() == [0] * 5
    assert bag("sat", 5).tolist() == [0, 0, 1, 0, 0]
    assert bag("sat").dtype == "uint8"


def test_a_run_keeps_the_words():
    bag = BagOfWords(["the", "cat"])
    assert BagOfWords.from_files(bag.to_files()).words == bag.words
