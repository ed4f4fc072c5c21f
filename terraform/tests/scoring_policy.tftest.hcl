# Which scoring policies are refused, and what the functions get of the others. variables.tftest.hcl has the policies of
# plain numbers that are refused. tests/variables has the variables alone: without a provider, a run takes a fraction of a
# second instead of four.

mock_provider "aws" {
  source = "./tests/aws"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/aws"
}

variables {
  environment              = "test"
  readers                  = "public"
  functions_dir            = "tests/functions"
  role_propagation_seconds = 0
}

run "a_policy_is_a_list" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = { effective_from = "1970-01-01T00:00:00Z", points = { task = 1 } }
  }
  expect_failures = [var.scoring_policy]
}

run "a_policy_is_no_text" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = "task = 1"
  }
  expect_failures = [var.scoring_policy]
}

run "a_version_has_points" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z" }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_version_has_a_time" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ points = { task = 1 } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_version_has_no_other_members" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 1 }, title = { task = "Task" } }]
  }
  expect_failures = [var.scoring_policy]
}

run "points_are_a_map" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = [1] }]
  }
  expect_failures = [var.scoring_policy]
}

run "titles_are_a_map" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 1 }, titles = ["Task"] }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_version_has_at_most_100_kinds" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { for n in range(101) : "k${n}" => 1 } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_later_version_is_checked_too" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 1 } }, { effective_from = "2026-01-01T00:00:00Z", points = { task = { per = 0, points = 1 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_worth_is_no_text" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = "ten" } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_worth_is_not_null" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = null } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_worth_is_no_list" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = [10] } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_worth_has_members" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = {} } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_worth_has_no_unknown_members" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { points = 5, max_per_day = 10, max_per_week = 20 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "fixed_points_have_no_max" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { points = 5, max = 5, max_per_day = 10 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "per_has_points" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { per = 1000, max = 20 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "per_and_given_exclude_each_other" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { per = 1000, points = 1, given = { max = 20 } } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_cap_is_not_alone" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { max_per_day = 10 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "given_is_an_object" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { given = 50 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "given_has_a_max" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { given = {} } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "given_has_no_other_members" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { given = { max = 50, min = 1 } } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "fixed_points_are_not_negative" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { points = -1, max_per_day = 10 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "fixed_points_are_not_fractional" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { points = 1.5, max_per_day = 10 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "fixed_points_are_not_beyond_a_million" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { points = 1000001, max_per_day = 10 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "fixed_points_are_not_text" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { points = "five", max_per_day = 10 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "per_is_not_zero" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { per = 0, points = 1 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "per_is_not_fractional" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { per = 1.5, points = 1 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "per_is_not_beyond_a_trillion" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { per = 1000000000001, points = 1 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "per_is_not_text" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { per = "km", points = 1 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_is_not_negative" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { per = 1000, points = 1, max = -1 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_is_not_fractional" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { per = 1000, points = 1, max = 1.5 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_is_not_beyond_a_million" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { per = 1000, points = 1, max = 1000001 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_is_not_text" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { per = 1000, points = 1, max = "all" } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_of_given_is_not_negative" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { given = { max = -1 } } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_of_given_is_not_fractional" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { given = { max = 1.5 } } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_of_given_is_not_beyond_a_million" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { given = { max = 1000001 } } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_of_given_is_not_text" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { given = { max = "all" } } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_per_day_is_not_zero" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { points = 5, max_per_day = 0 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_per_day_is_not_fractional" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { points = 5, max_per_day = 1.5 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_per_day_is_not_beyond_a_million" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { points = 5, max_per_day = 1000001 } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "max_per_day_is_not_text" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { other = 1, task = { points = 5, max_per_day = "all" } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_title_is_of_a_known_kind" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 1 }, titles = { chore = "Chore" } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_title_is_not_empty" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 1 }, titles = { task = "" } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_title_is_not_too_long" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 1 }, titles = { task = join("", [for n in range(81) : "x"]) } }]
  }
  expect_failures = [var.scoring_policy]
}

run "a_title_is_a_text" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 1 }, titles = { task = { en = "Task" } } }]
  }
  expect_failures = [var.scoring_policy]
}

run "bytes_are_limited_and_not_characters" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { for n in range(16) : "k${n}" => 1 }, titles = { for n in range(16) : "k${n}" => join("", [for m in range(80) : "ü"]) } }]
  }
  expect_failures = [var.scoring_policy]
}

run "limits_are_allowed" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [
      {
        effective_from = "1970-01-01T00:00:00Z"
        points = {
          low   = { per = 1, points = 0, max = 0, max_per_day = 1 }
          high  = { per = 1000000000000, points = 1000000, max = 1000000, max_per_day = 1000000 }
          none  = { given = { max = 0 }, max_per_day = 1 }
          all   = { given = { max = 1000000 } }
          fixed = { points = 0, max_per_day = 1000000 }
        }
        # Characters of four bytes.
        titles = { low = "x", high = join("", [for n in range(80) : "😀"]) }
      },
      { effective_from = "2026-07-01T00:00:00Z", points = { for n in range(100) : "k${n}" => 1000000 }, titles = {} },
    ]
  }
}

# What the functions get, of the whole module.

run "plain_numbers_are_passed_on_as_they_are" {
  command = plan
  assert {
    condition     = local.scoring_policy == "[{\"effective_from\":\"1970-01-01T00:00:00Z\",\"points\":{\"learning_milestone\":25,\"program_check_in\":5,\"task_completed\":10}}]"
    error_message = "The default must have no titles, as earlier versions of the functions read it: ${local.scoring_policy}"
  }
}

run "versions_may_differ_in_their_forms" {
  command = plan
  variables {
    scoring_policy = [
      { effective_from = "1970-01-01T00:00:00Z", points = { task = 10, steps = 1 } },
      {
        effective_from = "2026-07-01T00:00:00+02:00"
        points = {
          task     = { points = 5, max_per_day = 10 }
          steps    = { per = 1000, points = 1 }
          distance = { per = 500, points = 2, max = 20 }
          swim     = { per = 100, points = 3, max_per_day = 30 }
          climb    = { per = 1000000000000, points = 4, max = 40, max_per_day = 80 }
          kudos    = { given = { max = 50 } }
          praise   = { given = { max = 50 }, max_per_day = 100 }
        }
        titles = { steps = "Steps walked", kudos = "Kudos" }
      },
    ]
  }
  assert {
    condition = jsondecode(local.scoring_policy) == [
      { effective_from = "1970-01-01T00:00:00Z", points = { task = 10, steps = 1 } },
      {
        effective_from = "2026-07-01T00:00:00+02:00"
        points = {
          task     = { points = 5, max_per_day = 10 }
          steps    = { per = 1000, points = 1 }
          distance = { per = 500, points = 2, max = 20 }
          swim     = { per = 100, points = 3, max_per_day = 30 }
          climb    = { per = 1000000000000, points = 4, max = 40, max_per_day = 80 }
          kudos    = { given = { max = 50 } }
          praise   = { given = { max = 50 }, max_per_day = 100 }
        }
        titles = { steps = "Steps walked", kudos = "Kudos" }
      },
    ]
    error_message = "The functions must get what was written: ${local.scoring_policy}"
  }
  assert {
    condition     = toset(output.activity_kinds) == toset(["task", "steps", "distance", "swim", "climb", "kudos", "praise"])
    error_message = "The kinds must be those of the newest version."
  }
}

run "null_is_left_out_and_types_are_converted" {
  command = plan
  variables {
    scoring_policy = [
      { effective_from = "1970-01-01T00:00:00Z", points = { task = "10" }, titles = null },
      {
        effective_from = "2026-07-01T00:00:00Z"
        points = {
          task  = { points = "5", max_per_day = 10, per = null }
          steps = { per = 1000, points = 1, max = null, given = null }
          kudos = { given = { max = "50", min = null } }
        }
        titles = { task = 2026, steps = null }
        note   = null
      },
    ]
  }
  assert {
    condition     = local.scoring_policy == "[{\"effective_from\":\"1970-01-01T00:00:00Z\",\"points\":{\"task\":10}},{\"effective_from\":\"2026-07-01T00:00:00Z\",\"points\":{\"kudos\":{\"given\":{\"max\":50}},\"steps\":{\"per\":1000,\"points\":1},\"task\":{\"max_per_day\":10,\"points\":5}},\"titles\":{\"task\":\"2026\"}}]"
    error_message = "The functions refuse null, and numbers in quotes: ${local.scoring_policy}"
  }
}

run "titles_have_no_control_characters" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    scoring_policy = [{ effective_from = "1970-01-01T00:00:00Z", points = { task = 5 }, titles = { task = "one\ntwo" } }]
  }
  expect_failures = [var.scoring_policy]
}
