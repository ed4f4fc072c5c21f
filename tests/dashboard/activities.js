// Deterministic activities for tests.

const HOUR_MS = 3_600_000;
const KINDS = ["task_completed", "program_check_in", "learning_milestone"];

/// `count` activities of `users` users in `programs` programs over the last 40 days, most of them today. Users with
/// low numbers have more activities; many users are tied.
export function recentActivities({ count = 3000, users = 260, programs = 5, now = Date.now() } = {}) {
  return Array.from({ length: count }, (_, at) => {
    // Squaring favours low user numbers.
    const user = Math.floor(((at * 7919) % count) ** 2 / count ** 2 * users);
    return {
      activity_id: `recent-${at}`,
      user_id: `user-${String(user).padStart(3, "0")}`,
      program_id: `program-${at % programs}`,
      kind: KINDS[at % KINDS.length],
      occurred_at: new Date(now - (at / count) ** 3 * 40 * 24 * HOUR_MS).toISOString(),
    };
  });
}

/// Activities that give users these points in a program. Points must be multiples of five.
export function activitiesFor(points, { program = "onboarding", batch = "first" } = {}) {
  return Object.entries(points).flatMap(([user, wanted]) => {
    const tens = Array(Math.floor(wanted / 10)).fill("task_completed");
    const fives = Array((wanted % 10) / 5).fill("program_check_in");
    return [...tens, ...fives].map((kind, at) => ({
      activity_id: `${batch}-${program}-${at}`,
      user_id: user,
      program_id: program,
      kind,
    }));
  });
}
