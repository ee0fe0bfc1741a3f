import pytest

from preceptor.core import errors


def test_each_leaf_has_the_exit_code_that_the_front_door_promises() -> None:
    codes = {leaf: leaf("m").exit_code for leaf in _leaves(errors.PreceptorError)}
    assert codes == {
        errors.TaskError: 2,
        errors.InputError: 2,
        errors.Unserved: 2,
        errors.StoreError: 2,
        errors.BudgetStop: 3,
        errors.TeacherError: 4,
        errors.StudentError: 5,
        errors.InputError: 2,
        errors.Unserved: 2,
        errors.Unforeseen: 1,
        errors.Interrupted: 130,
    }


def _leaves(root: type[errors.PreceptorError]) -> list[type[errors.PreceptorError]]:
    found = []
    for leaf in root.__subclasses__():
        if leaf.__module__ == errors.__name__:
            found += [leaf, *_leaves(leaf)]
    return found


def test_the_message_ends_with_what_to_do() -> None:
    assert str(errors.InputError("no file 'x'", "make it")) == "no file 'x' (make it)"
    assert str(errors.InputError("no file 'x'")) == "no file 'x'"


def test_a_foreign_error_becomes_one_line_with_its_cause() -> None:
    with pytest.raises(errors.StudentError) as caught:
        with errors.boundary(errors.StudentError, "asking the server", "start it"):
            raise OSError("refused\nand a second line " + "x" * 500)
    assert str(caught.value) == "asking the server: OSError: refused (start it)"
    assert isinstance(caught.value.__cause__, OSError)


def test_a_long_foreign_message_is_cut() -> None:
    with pytest.raises(errors.StudentError) as caught:
        with errors.boundary(errors.StudentError, "asking"):
            raise ValueError("x" * 5000)
    assert len(str(caught.value)) < 300


def test_own_errors_and_ctrl_c_pass_a_boundary_as_they_are() -> None:
    for raised in (errors.BudgetStop("enough"), KeyboardInterrupt()):
        with pytest.raises(type(raised)) as caught:
            with errors.boundary(errors.StudentError, "asking"):
                raise raised
        assert caught.value is raised
