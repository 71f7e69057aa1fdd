/**
 * How urgent a request is, and what reports call it.
 *
 * Terms: A request is interactive or bulk (its tier). A class is the requests of one tier and size.
 * Owns:  the list of tiers. Bulk requests run only while no interactive request waits, or in a run of interactive
 *        requests that they hardly make longer. At least one run in 10 s is for waiting bulk requests.
 */

/**
 * Tier → its name in reports and samples. Interactive requests are named `default`, as in earlier versions. The
 * operator matches classes by this name: between two revisions, and between new reports and stored counts.
 */
export const reportedTiers = { interactive: 'default', bulk: 'bulk' } as const;

export type Tier = keyof typeof reportedTiers;
