# Which quests are refused, and that every form is taken. tests/variables has the variables alone: without a provider, a run
# takes a fraction of a second instead of four.

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

run "every_form_is_taken" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [
      { id = "a|#'~x", version = 1000000, title = "A", coin = { name = "C", value = 0 }, per = "once", rule = { all = [{ kind = "task_completed" }, {}] }, within = "36h" },
      { id = "b", version = 1, title = "Ä <b>", coin = { name = "C", value = 1 }, per = "day", rule = { ordered = [{ metadata = { level = 7, done = true } }] }, supply = 1000000 },
      { id = "c", version = 1, title = "C", coin = { name = "C", value = 1 }, per = "week", rule = { count = { of = { program_id = "p" }, at_least = 10 } }, starts_at = "2026-12-01T00:00:00+01:00" },
      { id = "d", version = 1, title = "D", coin = { name = "C", value = 1 }, per = "month", rule = { distinct = { of = {}, field = "day", at_least = 3 } }, starts_at = null, supply = null },
      { id = "e", version = 1, title = "E", coin = { name = "C", value = 1 }, per = "program", rule = { points = { of = {}, at_least = 100 } }, starts_at = "2026-12-01T00:00:00Z", ends_at = "2026-12-02T00:00:00Z" },
      { id = "f", version = 1, title = "F", coin = { name = "C", value = 1000000 }, per = "once", rule = { streak = { of = {}, unit = "week", at_least = 4 } } },
    ]
  }
}

run "quests_are_a_list" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = { id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }
  }
  expect_failures = [var.quests]
}

run "quests_are_no_text" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = "explorer"
  }
  expect_failures = [var.quests]
}

run "quests_are_at_most_200" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [for n in range(201) : { id = "q${n}", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "a_quest_has_a_rule" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once" }]
  }
  expect_failures = [var.quests]
}

run "a_quest_has_no_other_members" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } }, reward = 5 }]
  }
  expect_failures = [var.quests]
}

run "an_id_is_no_key_of_podium" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "~quests", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "an_id_has_an_address" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "..", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "ids_differ" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }, { id = "a", version = 2, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "a_version_is_whole" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1.5, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "a_version_is_no_text" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = "1", title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "a_version_begins_at_1" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 0, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "a_title_is_not_blank" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = " ", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "a_coin_has_a_name" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "a_coin_has_no_other_members" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1, icon = "x" }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "the_name_of_a_coin_is_short" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = join("", [for n in range(81) : "x"]), value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "the_value_of_a_coin_is_not_negative" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = -1 }, per = "once", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "a_quest_starts_at_a_time" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } }, starts_at = "2026-12-01" }]
  }
  expect_failures = [var.quests]
}

run "a_quest_ends_after_it_starts" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } }, starts_at = "2026-12-01T00:00:00Z", ends_at = "2026-12-01T00:00:00Z" }]
  }
  expect_failures = [var.quests]
}

run "per_is_a_period" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "year", rule = { count = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "a_rule_has_a_form" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = {} }]
  }
  expect_failures = [var.quests]
}

run "a_rule_has_one_form" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 }, all = [{}] } }]
  }
  expect_failures = [var.quests]
}

run "a_rule_has_a_known_form" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { most = { of = {}, at_least = 1 } } }]
  }
  expect_failures = [var.quests]
}

run "all_has_a_matcher" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { all = [] } }]
  }
  expect_failures = [var.quests]
}

run "all_has_20_matchers_at_most" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { all = [for n in range(21) : {}] } }]
  }
  expect_failures = [var.quests]
}

run "ordered_is_a_list" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { ordered = { kind = "task_completed" } } }]
  }
  expect_failures = [var.quests]
}

run "count_has_at_least" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {} } } }]
  }
  expect_failures = [var.quests]
}

run "distinct_has_a_field" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { distinct = { of = {}, at_least = 2 } } }]
  }
  expect_failures = [var.quests]
}

run "a_streak_has_a_unit" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { streak = { of = {}, at_least = 2 } } }]
  }
  expect_failures = [var.quests]
}

run "within_has_a_unit" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } }, within = "7" }]
  }
  expect_failures = [var.quests]
}

run "a_streak_has_no_within" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { streak = { of = {}, unit = "day", at_least = 2 } }, within = "7d" }]
  }
  expect_failures = [var.quests]
}

run "a_supply_is_not_empty" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [{ id = "a", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once", rule = { count = { of = {}, at_least = 1 } }, supply = 0 }]
  }
  expect_failures = [var.quests]
}

# Digests cannot be compressed to less than half.
run "quests_fit_into_an_item" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    quests = [
      for n in range(200) : {
        id   = "q${n}", version = 1, title = "A", coin = { name = "C", value = 1 }, per = "once"
        rule = { all = [{ metadata = { digests = join("", [for m in range(40) : sha512("${n} ${m}")]) } }] }
      }
    ]
  }
  expect_failures = [var.quests]
}
