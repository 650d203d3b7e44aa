// Timing of a graph of units: what graph/timing.py defines, at a few nanoseconds an event.
//
// A link leads from the steps S that give its beats to the steps X that take them:
//
//     X[m] >= S[m] + latency,    S[m] >= X[m - room] + back
//
// A process runs, many events of one kind at once, until a beat that it needs is not known yet, or
// until the horizon; then the next one that can go on. Credits would stop it every few beats, and
// most of the time in vain: so it does not ask for them. If at the horizon a link turns out to have
// given what it had no credit for, all go back to the horizon before, and there it does ask.

#include <algorithm>
#include <cstdint>
#include <vector>

using i64 = int64_t;

namespace {

const i64 ENDLESS = INT64_MAX;
const i64 AT_ONCE = 1024;                   // events, at the most

// A place in a ring from which a process reads what it waits for, or to which it writes.
struct Place {
    i64 *data, mask, at, plus;
};

// The latest entries of a growing sequence.
struct Ring {
    std::vector<i64> data = std::vector<i64>(16);
    i64 mask = 15;

    i64 &operator[](i64 k) { return data[k & mask]; }
    Place place(i64 at, i64 plus) { return {data.data(), mask, at, plus}; }

    // Make room for n entries from `next` on, while those from `oldest` on are still needed.
    void reserve(i64 oldest, i64 next, i64 n) {
        while (next + n - oldest > mask + 1) grow(next);
    }

    void grow(i64 next) {
        std::vector<i64> larger(2 * data.size());
        i64 larger_mask = larger.size() - 1;
        for (i64 k = std::max<i64>(0, next - mask - 1); k < next; k++)
            larger[k & larger_mask] = (*this)[k];
        data.swap(larger);
        mask = larger_mask;
    }
};

// The most beats at once of those given, as seen `shift` cycles late, and not yet taken.
struct Meter {
    i64 shift, at = 0, most = 0;
};

struct Link {
    i64 gives = 0, takes = 0;               // beats so far
    Ring given, taken;                      // S + latency, X
    i64 room, latency, back;
    int giver, taker;                       // -1: the network's end
    bool asks = false;                      // for credits
    bool giver_waits = false, taker_waits = false;
    i64 old_gives = 0, old_takes = 0;       // at the horizon before
    i64 limit = 0, pace = 0, frame = 1;     // at the network's ends
    std::vector<i64> *probes = nullptr;     // two: taken, given
    std::vector<Meter> meters;

    bool keeps_taken() const { return room != ENDLESS || !meters.empty() || probes; }

    void reserve_taken(i64 n) {
        i64 oldest = room == ENDLESS ? old_takes : std::min(old_takes, old_gives - room);
        for (Meter &meter : meters) oldest = std::min(oldest, meter.at);
        taken.reserve(oldest, takes, n);
    }

    // At the network's input: offer beats ahead of what is taken.
    void offer() {
        i64 until = std::min(limit, takes + AT_ONCE);
        if (gives < until) given.reserve(old_takes, gives, until - gives);
        for (; gives < until; gives++) given[gives] = gives / frame * pace + latency;
    }

    // Tell whether a beat was given without a credit.
    bool owes() {
        if (room == ENDLESS || asks) return false;
        for (i64 m = std::max(old_gives, room); m < gives; m++)
            if (m - room >= takes || taken[m - room] + back > given[m] - latency) return true;
        return false;
    }

    // There are more than `most` beats if one is taken when the one `most` later is there.
    void measure() {
        for (Meter &meter : meters)
            while (meter.at < takes && meter.at + meter.most < gives)
                if (given[meter.at + meter.most] <= taken[meter.at] + meter.shift)
                    meter.most++;
                else
                    meter.at++;
    }

    // All up to the horizon is certain.
    void keep() {
        measure();
        if (probes) {
            for (i64 k = old_takes; k < takes; k++) probes[0].push_back(taken[k]);
            for (i64 k = old_gives; k < gives; k++) probes[1].push_back(given[k]);
        }
        old_gives = gives, old_takes = takes;
    }

    void go_back() { gives = old_gives, takes = old_takes, giver_waits = taker_waits = false; }
};

struct Kind {
    i64 gap = 0;
    std::vector<Link *> takes, gives;
};

struct State {
    i64 at = 0, left = 0, lap = 0, frame = 0, last = 0;
    uint64_t hash = 0;
};

struct Process : State {
    std::vector<Kind> kinds;
    const int32_t *runs;                    // (runs, 2): a kind, and how many events in a row
    i64 length, periods;                    // runs a period, periods a frame
    bool queued = true;
    State old;                              // at the horizon before
};

// Do up to n events, as far as the horizon: each in the first cycle that all it reads allows.
// R and W are how many places it reads and writes; -1: as many as there are.
template <int R, int W>
i64 advance(State &p, i64 gap, i64 n, i64 horizon, const std::vector<Place> &reads,
            const std::vector<Place> &writes) {
    const int n_reads = R < 0 ? reads.size() : R, n_writes = W < 0 ? writes.size() : W;
    const Place *r = reads.data(), *w = writes.data();
    i64 last = p.last, k = 0;
    uint64_t hash = p.hash;
    for (; k < n; k++) {
        i64 cycle = last + gap;
        for (int j = 0; j < n_reads; j++)
            cycle = std::max(cycle, r[j].data[(r[j].at + k) & r[j].mask] + r[j].plus);
        if (cycle > horizon) break;
        for (int j = 0; j < n_writes; j++)
            w[j].data[(w[j].at + k) & w[j].mask] = cycle + w[j].plus;
        hash = (hash ^ uint64_t(cycle - last)) * 0x100000001b3u;
        last = cycle;
    }
    p.last = last, p.hash = hash;
    return k;
}

const decltype(&advance<0, 0>) ADVANCE[4][4] = {
    {advance<0, 0>, advance<0, 1>, advance<0, 2>, advance<0, 3>},
    {advance<1, 0>, advance<1, 1>, advance<1, 2>, advance<1, 3>},
    {advance<2, 0>, advance<2, 1>, advance<2, 2>, advance<2, 3>},
    {advance<3, 0>, advance<3, 1>, advance<3, 2>, advance<3, 3>}};

struct Simulation {
    std::vector<Link> links;
    std::vector<Process> processes;
    std::vector<int> queue;
    std::vector<int> later;                 // those at the horizon
    std::vector<Place> reads, writes;
    i64 horizon = 0, window, frames = 0, first_in = -1;
    i64 *ends;                              // (frames, processes): cycle of the last event
    uint64_t *hashes;                       // and of all distances between events
    i64 *o_ends;                            // (frames,): of the last beat of the output
    std::vector<std::vector<i64>> probes;

    void wake(bool &waits, int process) {
        if (!waits) return;
        waits = false;
        if (processes[process].queued) return;
        processes[process].queued = true;
        queue.push_back(process);
    }

    // Of n events the ones for which a link has beats.
    i64 takeable(Link &link, i64 n) {
        if (link.giver < 0) {
            link.offer();
            if (first_in < 0) n = 1;        // that its cycle be seen
        }
        // Tokens at the start need no waiting.
        n = std::min(n, link.takes < 0 ? -link.takes : link.gives - link.takes);
        if (n <= 0) link.taker_waits = true;
        return n;
    }

    // Of n events the ones for which a link has credits.
    i64 giveable(Link &link, i64 n) {
        if (!link.asks) return n;
        n = std::min(n, link.gives < link.room ? link.room - link.gives
                                               : link.room + link.takes - link.gives);
        if (n <= 0) link.giver_waits = true;
        return n;
    }

    // Find the places that n events of a kind read and write.
    void place(const Kind &kind, i64 n) {
        reads.clear(), writes.clear();
        for (Link *link : kind.takes) {
            if (!link->keeps_taken()) continue;
            link->reserve_taken(n);
            writes.push_back(link->taken.place(link->takes, 0));
        }
        for (Link *link : kind.gives) {
            link->given.reserve(link->old_takes, link->gives, n);
            writes.push_back(link->given.place(link->gives, link->latency));
            if (link->asks && link->gives >= link->room)
                reads.push_back(link->taken.place(link->gives - link->room, link->back));
        }
        for (Link *link : kind.takes)
            if (link->takes >= 0) reads.push_back(link->given.place(link->takes, 0));
    }

    void taken(Link &link, i64 n, i64 cycle) {
        if (link.giver < 0 && first_in < 0) first_in = cycle;
        link.takes += n;
        wake(link.giver_waits, link.giver);
    }

    void given(Link &link, i64 n) {
        link.gives += n;
        if (link.taker >= 0) return wake(link.taker_waits, link.taker);
        // The output is taken at once.
        link.reserve_taken(n);
        for (i64 k = link.takes; k < link.gives; k++) {
            link.taken[k] = link.given[k];
            if ((k + 1) % link.frame == 0) o_ends[k / link.frame] = link.given[k];
        }
        taken(link, n, 0);
    }

    // Do the next events of a process, as many as are known; tell how many, -1 at the horizon.
    i64 step(Process &p) {
        const Kind &kind = p.kinds[p.runs[2 * p.at]];
        i64 n = std::min(p.left, AT_ONCE);
        for (Link *link : kind.takes)
            if ((n = takeable(*link, n)) <= 0) return 0;
        for (Link *link : kind.gives)
            if ((n = giveable(*link, n)) <= 0) return 0;
        place(kind, n);
        bool many = reads.size() > 3 || writes.size() > 3;
        auto advances = many ? advance<-1, -1> : ADVANCE[reads.size()][writes.size()];
        i64 done = advances(p, kind.gap, n, horizon, reads, writes);
        if (!done) return -1;
        for (Link *link : kind.takes) taken(*link, done, p.last);
        for (Link *link : kind.gives) given(*link, done);
        return done;
    }

    void run(int index) {
        Process &p = processes[index];
        while (p.frame < frames) {
            i64 done = step(p);
            if (!done) return;
            if (done < 0) break;
            if (p.left -= done) continue;
            if (++p.at == p.length) {
                p.at = 0;
                if (++p.lap == p.periods) {
                    p.lap = 0;
                    ends[p.frame * processes.size() + index] = p.last;
                    hashes[p.frame * processes.size() + index] = p.hash;
                    p.frame++, p.hash = 0;
                }
            }
            p.left = p.runs[2 * p.at + 1];
        }
        later.push_back(index);
        p.queued = true;
    }

    // Run all processes to the horizon, as if no link ever lacked a credit but those that ask.
    void run_all() {
        for (size_t at = 0; at < queue.size(); at++) {
            int p = queue[at];
            if (at == 4096) {
                queue.erase(queue.begin(), queue.begin() + at);
                at = 0;
            }
            processes[p].queued = false;
            run(p);
        }
        queue.clear();
    }

    // Run to the horizon; every link has had the credits that it gave for.
    void run_to_horizon() {
        i64 old_first_in = first_in;
        while (true) {
            run_all();
            bool owes = false;
            for (Link &link : links)
                if (link.owes()) owes = link.asks = true;
            if (!owes) break;
            for (Link &link : links) link.go_back();
            first_in = old_first_in;
            later.clear();
            for (size_t p = 0; p < processes.size(); p++) {
                static_cast<State &>(processes[p]) = processes[p].old;
                processes[p].queued = true;
                queue.push_back(p);
            }
        }
        for (Link &link : links) link.keep();
        for (Process &p : processes) p.old = p;
    }

    // Go on to the end of frame `until`; false where nothing moves any more.
    bool go(i64 until) {
        frames = until;
        for (Link &link : links)
            if (link.giver < 0) link.limit = until * link.frame;
        // The first units have long done the last frame, the last ones just now.
        for (Process &p : processes) horizon = std::min(horizon, p.last);
        while (true) {
            queue.insert(queue.end(), later.begin(), later.end());
            later.clear();
            run_to_horizon();
            bool done = true, waits = false;
            for (Process &p : processes) done &= p.frame >= until;
            for (int p : later) waits |= processes[p].frame < until;
            if (done) return true;
            if (!waits) return false;
            horizon += window;
        }
    }
};

}  // namespace

extern "C" {

// links: (count, 10) of room (-1: endless), latency, back, giver, taker, tokens at the start, beats
// a frame, probed, meters, the first one's shift (the second's is one more).
// kinds: a run of numbers: gap, takes, their links, gives, their links, for all kinds of a process,
// and the cycle that its first gap counts from; runs: where each process's lie, how many, and
// periods a frame.
void *timing_new(i64 n_links, const i64 *links, i64 n_processes, const i64 *kind_counts,
                 const i64 *kinds, const int32_t *const *runs, const i64 *lengths,
                 const i64 *periods, i64 pace, i64 window) {
    Simulation *s = new Simulation;
    s->window = window;
    s->links.resize(n_links);
    s->probes.resize(2 * n_links);
    for (i64 k = 0; k < n_links; k++) {
        Link &link = s->links[k];
        const i64 *row = links + 10 * k;
        link.room = row[0] < 0 ? ENDLESS : row[0];
        link.latency = row[1], link.back = row[2], link.giver = row[3], link.taker = row[4];
        link.takes = link.old_takes = -row[5], link.frame = row[6], link.pace = pace;
        if (row[7]) link.probes = &s->probes[2 * k];
        for (i64 m = 0; m < row[8]; m++) link.meters.push_back({row[9] + m});
    }
    s->processes.resize(n_processes);
    for (i64 p = 0; p < n_processes; p++) {
        Process &process = s->processes[p];
        process.runs = runs[p], process.length = lengths[p], process.periods = periods[p];
        process.left = process.runs[1];
        for (i64 k = 0; k < kind_counts[p]; k++) {
            Kind kind;
            kind.gap = *kinds++;
            for (i64 n = *kinds++; n > 0; n--) kind.takes.push_back(&s->links[*kinds++]);
            for (i64 n = *kinds++; n > 0; n--) kind.gives.push_back(&s->links[*kinds++]);
            process.kinds.push_back(kind);
        }
        process.last = *kinds++;
        process.old = process;
        s->queue.push_back(p);
    }
    return s;
}

void timing_delete(void *s) { delete static_cast<Simulation *>(s); }

// Go on to the end of frame `frames`; arrays that hold so many. 0: something stands still.
int timing_go(void *simulation, i64 frames, i64 *ends, uint64_t *hashes, i64 *o_ends) {
    Simulation *s = static_cast<Simulation *>(simulation);
    s->ends = ends, s->hashes = hashes, s->o_ends = o_ends;
    return s->go(frames);
}

i64 timing_first_in(void *s) { return static_cast<Simulation *>(s)->first_in; }

// Beats taken of a link, and what its meters say.
i64 timing_taken(void *s, i64 link) { return static_cast<Simulation *>(s)->links[link].takes; }
i64 timing_most(void *s, i64 link, i64 meter) {
    std::vector<Meter> &meters = static_cast<Simulation *>(s)->links[link].meters;
    return meter < i64(meters.size()) ? meters[meter].most : 0;
}

// Keep every beat of a link from now on.
void timing_watch(void *simulation, i64 link) {
    Simulation *s = static_cast<Simulation *>(simulation);
    s->links[link].probes = &s->probes[2 * link];
}

// What a probed link has seen: beats taken (which 0), or given, by their latency later (1).
i64 timing_probe(void *s, i64 link, i64 which, const i64 **data) {
    std::vector<i64> &probe = static_cast<Simulation *>(s)->probes[2 * link + which];
    *data = probe.data();
    return probe.size();
}

}  // extern "C"
