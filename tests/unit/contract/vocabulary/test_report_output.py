from maskrelay.contract.vocabulary.outputs import outputs_of


def test_a_report_alone_comes_with_the_defaults() -> None:
    assert outputs_of(["report"], "still", 1, volume=False) == ("mask", "overlay")
    assert outputs_of(["report"], "dicom", 9, volume=True) == ("mask", "seg", "contact-sheet")


def test_a_report_needs_a_picture_of_each_item() -> None:
    assert outputs_of(["mask", "report"], "still", 1, volume=False) == ("mask", "overlay")
    assert outputs_of(["nifti", "report"], "nifti", 9, volume=True) == ("nifti", "contact-sheet")
