/**
 * How urgent a request is, and what reports call it.
 *
 * Owns:  the list of tiers. Bulk work runs only while no interactive work waits, except for one run in 10 s
 *        (bulkPatienceMs), and except in a run of interactive work that it hardly makes longer.
 */

/**
 * Tier → its name in reports and samples. Interactive requests are named `default`, as in earlier versions. The
 * operator matches request classes by this name: between two revisions, and between new reports and stored counts.
 */
export const reportedTiers = { interactive: 'default', bulk: 'bulk' } as const;

export type Tier = keyof typeof reportedTiers;
