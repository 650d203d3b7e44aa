// Timing of a graph of units: what graph/timing.py defines, at a few nanoseconds an event.
//
// A link leads from the steps S that give its beats to the steps X that take them:
//
//     X[m] >= S[m] + latency,    S[m] >= X[m - room] + back
//
// Every beat has a slot. Until it is taken there is S[m] + latency in it, and then X[m] + back: the
// credit for beat m + room. A process does as many events of a run as there are beats and credits
// for; when it lacks one, it sleeps on that link until there is one more. The one that was woken
// last goes on first: so a few units at a time pass their beats to and fro, and their slots, and
// what the processor has learnt of them, stay at hand.
//
// A link that never fills has more slots once nothing moves without.

#include <algorithm>
#include <cstdint>
#include <vector>

using i64 = int64_t;

namespace {

const i64 LONG_AGO = INT64_MIN / 4;         // earlier than any cycle, by any number of cycles
const i64 AT_FIRST = 1024;                  // slots of a link that never fills

// The latest entries of a growing sequence; LONG_AGO what was never written.
struct Ring {
    std::vector<i64> data = std::vector<i64>(16, LONG_AGO);
    i64 mask = 15;

    i64 &operator[](i64 k) { return data[k & mask]; }

    // Have so many entries, those before `next` being kept.
    void reserve(i64 next, i64 count) {
        if (count <= mask + 1) return;
        i64 larger_mask = mask;
        while (larger_mask + 1 < count) larger_mask = 2 * larger_mask + 1;
        std::vector<i64> larger(larger_mask + 1, LONG_AGO);
        for (i64 k = next - mask - 1; k < next; k++) larger[k & larger_mask] = (*this)[k];
        data.swap(larger);
        mask = larger_mask;
    }
};

// The most beats at once of those given, as seen `shift` cycles late, and not yet taken.
struct Meter {
    i64 shift, at = 0, most = 0;
};

// The transfers of a link: those that its meters still need, and all from beat `since` on.
struct Log {
    Ring taken, given;                      // X, S + latency
    i64 since = INT64_MAX;
    bool gives = false;                     // whether the steps that give are kept, too
    std::vector<Meter> meters;

    // There are more than `most` beats if one is taken when the one `most` later is there.
    void measure(i64 takes, i64 gives) {
        for (Meter &meter : meters)
            while (meter.at < takes && meter.at + meter.most < gives)
                if (given[meter.at + meter.most] <= taken[meter.at] + meter.shift)
                    meter.most++;
                else
                    meter.at++;
    }

    i64 oldest() const {
        i64 oldest = since;
        for (const Meter &meter : meters) oldest = std::min(oldest, meter.at);
        return oldest;
    }

    // Have room for n more in either ring, of which so many were taken and given.
    void reserve(Ring &ring, i64 next, i64 n, i64 takes, i64 gives) {
        if (next + n - oldest() <= ring.mask + 1) return;
        measure(takes, gives);
        // Measure again only when as many have come anew.
        ring.reserve(next, 2 * (next + n - oldest()));
    }
};

struct Link {
    i64 gives = 0, takes;                   // beats so far; less than 0: tokens at the start
    i64 room, latency, back;
    i64 *slots, mask;
    int sleeper = -1;                       // the process that lacks a beat here, or a credit
    int giver, taker;
    bool endless;
    Log *log = nullptr;
    Ring ring;

    void hold(i64 count) {
        ring.reserve(gives, count);
        slots = ring.data.data(), mask = ring.mask, room = count;
    }
};

struct Kind {
    i64 gap;
    std::vector<Link *> takes, gives;
    bool logs = false;
};

struct Simulation;
struct Process;
using Step = bool (Simulation::*)(Process &, const Kind &);

struct Process {
    i64 last = 0, left = 0;                 // cycle of the last event; events left of this run
    i64 at = 0, lap = 0, frame = 0;
    int index;
    const int32_t *runs;                    // (runs, 2): a kind, and how many events in a row
    i64 length, periods;                    // runs a period, periods a frame
    std::vector<Kind> kinds;
    std::vector<Step> steps;                // how to do each of them
};

struct Simulation {
    std::vector<Link> links;
    std::vector<Process> processes;
    std::vector<Log> logs;
    std::vector<int> ready;
    Link *input;
    i64 frames = 0, first_in = -1;
    i64 *ends;                              // (frames, processes): cycle of the last event

    // Find the kinds of events that are logged.
    void find_logged() {
        for (Process &p : processes)
            for (Kind &kind : p.kinds)
                for (const std::vector<Link *> *links : {&kind.takes, &kind.gives})
                    for (const Link *link : *links) kind.logs |= link->log != nullptr;
    }

    void wake(Link &link) {
        if (link.sleeper < 0) return;
        ready.push_back(link.sleeper);
        link.sleeper = -1;
    }

    // Do as many events of a run as there are beats and credits for, each in the first cycle that
    // all it reads allows; tell whether the process can go on. T and G are how many links an event
    // takes from and gives to; -1: as many as there are.
    template <int T, int G> bool step(Process &p, const Kind &kind) {
        const int takes = T < 0 ? kind.takes.size() : T, gives = G < 0 ? kind.gives.size() : G;
        Link *const *t = kind.takes.data(), *const *g = kind.gives.data();
        i64 n = p.left;
        Link *lacks = nullptr;
        for (int j = 0; j < takes; j++)
            if (i64 beats = t[j]->gives - t[j]->takes; beats < n) n = beats, lacks = t[j];
        for (int j = 0; j < gives; j++)
            if (i64 credits = g[j]->room + g[j]->takes - g[j]->gives; credits < n)
                n = credits, lacks = g[j];
        if (n > 0) {
            for (i64 k = 0; k < n; k++) {
                i64 cycle = p.last + kind.gap;
                for (int j = 0; j < takes; j++)
                    cycle = std::max(cycle, t[j]->slots[(t[j]->takes + k) & t[j]->mask]);
                for (int j = 0; j < gives; j++) {
                    i64 credit = g[j]->gives + k - g[j]->room;
                    cycle = std::max(cycle, g[j]->slots[credit & g[j]->mask]);
                }
                for (int j = 0; j < takes; j++)
                    t[j]->slots[(t[j]->takes + k) & t[j]->mask] = cycle + t[j]->back;
                for (int j = 0; j < gives; j++)
                    g[j]->slots[(g[j]->gives + k) & g[j]->mask] = cycle + g[j]->latency;
                p.last = cycle;
            }
            if (kind.logs) log(kind, n);
            for (int j = 0; j < takes; j++) t[j]->takes += n, wake(*t[j]);
            for (int j = 0; j < gives; j++) g[j]->gives += n, wake(*g[j]);
            if (!(p.left -= n)) return finish(p);
            // What it lacked of its own it may have given to itself.
            if (lacks->giver == lacks->taker) return true;
        }
        lacks->sleeper = p.index;
        return false;
    }

    // Keep what n events have written.
    void log(const Kind &kind, i64 n) {
        for (const Link *link : kind.takes)
            if (Log *log = link->log) {
                log->reserve(log->taken, link->takes, n, link->takes, link->gives);
                for (i64 m = link->takes; m < link->takes + n; m++)
                    log->taken[m] = link->slots[m & link->mask] - link->back;
            }
        for (const Link *link : kind.gives)
            if (Log *log = link->log; log && log->gives) {
                log->reserve(log->given, link->gives, n, link->takes, link->gives);
                for (i64 m = link->gives; m < link->gives + n; m++)
                    log->given[m] = link->slots[m & link->mask];
            }
    }

    // A run is done; tell whether there is another one in these frames.
    bool finish(Process &p) {
        if (++p.at == p.length) {
            p.at = 0;
            if (++p.lap == p.periods) {
                p.lap = 0;
                ends[p.frame * processes.size() + p.index] = p.last;
                p.frame++;
            }
        }
        p.left = p.runs[2 * p.at + 1];
        return p.frame < frames;
    }

    // Let all that are ready go on until they lack something.
    void drain() {
        while (!ready.empty()) {
            Process &p = processes[ready.back()];
            ready.pop_back();
            if (p.frame == frames) continue;
            for (bool on = true; on;) {
                int kind = p.runs[2 * p.at];
                on = (this->*p.steps[kind])(p, p.kinds[kind]);
            }
        }
    }

    // Let what never fills hold more; tell whether anything waited for that.
    bool widen() {
        bool any = false;
        for (Link &link : links)
            if (link.endless && link.sleeper == link.giver) {
                link.hold(2 * link.room);
                wake(link);
                any = true;
            }
        return any;
    }

    // Go on to the end of frame `until`; false where nothing moves any more.
    bool go(i64 until) {
        frames = until;
        Process &source = processes[input->giver];
        for (Process &p : processes)
            if (&p != &source) ready.push_back(p.index);
        if (!input->gives) {
            // The first beat on its own: its slot shows when it is taken.
            step<0, 1>(source, source.kinds[0]);
            drain();
            first_in = input->slots[0] - input->back;
        }
        ready.push_back(source.index);
        do drain();
        while (widen());
        return std::all_of(processes.begin(), processes.end(),
                           [=](const Process &p) { return p.frame == until; });
    }
};

Step stepper(size_t takes, size_t gives) {
    using S = Simulation;
    static const Step STEPS[3][3] = {{nullptr, &S::step<0, 1>, &S::step<0, 2>},
                                     {&S::step<1, 0>, &S::step<1, 1>, &S::step<1, 2>},
                                     {&S::step<2, 0>, &S::step<2, 1>, &S::step<2, 2>}};
    return takes > 2 || gives > 2 ? &S::step<-1, -1> : STEPS[takes][gives];
}

}  // namespace

extern "C" {

// links: (count, 10) of room (-1: never fills), latency, back, giver, taker, tokens at the start,
// whether transfers are kept (1), the steps that give, too (2), beats a frame, meters, the first
// one's shift (the second's is one more).
// kinds: a run of numbers: gap, takes, their links, gives, their links, for all kinds of a process,
// and the cycle that its first gap counts from; runs: where each process's lie, how many, and
// periods a frame. The last two are the host: what gives to the first link `pace` cycles after the
// frame before, all in the same cycle, and what takes at once.
void *timing_new(i64 n_links, const i64 *links, i64 n_processes, const i64 *kind_counts,
                 const i64 *kinds, const int32_t *const *runs, const i64 *lengths,
                 const i64 *periods, i64 pace) {
    Simulation *s = new Simulation;
    s->links.resize(n_links), s->logs.resize(n_links), s->processes.resize(n_processes);
    for (i64 k = 0; k < n_links; k++) {
        Link &link = s->links[k];
        const i64 *row = links + 10 * k;
        link.endless = row[0] < 0;
        link.latency = row[1], link.back = link.endless ? LONG_AGO : row[2];
        link.giver = row[3], link.taker = row[4], link.takes = -row[5];
        // Tokens that nobody takes stay in their slots: too long to hold up a step that gives.
        link.hold(link.endless ? std::max({AT_FIRST, 2 * row[5], row[1]}) : row[0]);
        Log &log = s->logs[k];
        if (row[6]) {
            log.since = 0;
            log.taken.reserve(0, row[7]);
        }
        log.gives = row[6] == 2 || row[8];
        for (i64 m = 0; m < row[8]; m++) log.meters.push_back({row[9] + m});
        if (row[6] || row[8]) link.log = &log;
    }
    for (i64 index = 0; index < n_processes; index++) {
        Process &p = s->processes[index];
        p.index = index, p.runs = runs[index], p.left = p.runs[1];
        p.length = lengths[index], p.periods = periods[index];
        for (i64 k = 0; k < kind_counts[index]; k++) {
            Kind kind = {*kinds++, {}, {}};
            for (i64 n = *kinds++; n > 0; n--) kind.takes.push_back(&s->links[*kinds++]);
            for (i64 n = *kinds++; n > 0; n--) kind.gives.push_back(&s->links[*kinds++]);
            p.steps.push_back(stepper(kind.takes.size(), kind.gives.size()));
            p.kinds.push_back(kind);
        }
        p.last = *kinds++;
    }
    Process &source = s->processes[n_processes - 2];
    source.kinds[0].gap = pace, source.last = -pace;
    s->input = source.kinds[0].gives[0];
    s->find_logged();
    return s;
}

void timing_delete(void *s) { delete static_cast<Simulation *>(s); }

// Go on to the end of frame `frames`; an array that holds so many. 0: something stands still.
int timing_go(void *simulation, i64 frames, i64 *ends) {
    Simulation *s = static_cast<Simulation *>(simulation);
    s->ends = ends;
    return s->go(frames);
}

i64 timing_first_in(void *s) { return static_cast<Simulation *>(s)->first_in; }

// Beats taken of a link, and what its meters say.
i64 timing_taken(void *s, i64 link) { return static_cast<Simulation *>(s)->links[link].takes; }
i64 timing_most(void *simulation, i64 link, i64 meter) {
    Simulation *s = static_cast<Simulation *>(simulation);
    Log &log = s->logs[link];
    log.measure(s->links[link].takes, s->links[link].gives);
    return meter < i64(log.meters.size()) ? log.meters[meter].most : 0;
}

// Keep every beat of a link from now on, between two frames.
void timing_watch(void *simulation, i64 link) {
    Simulation *s = static_cast<Simulation *>(simulation);
    s->logs[link].since = s->links[link].takes;
    s->logs[link].gives = true;
    s->links[link].log = &s->logs[link];
    s->find_logged();
}

// What was kept of a link: beats taken (which 0), or given, by their latency later (1). Returns how
// many; they go to `out`, if there is one.
i64 timing_probe(void *simulation, i64 link, i64 which, i64 *out) {
    Simulation *s = static_cast<Simulation *>(simulation);
    Log &log = s->logs[link];
    i64 until = which ? s->links[link].gives : s->links[link].takes;
    if (out)
        for (i64 m = log.since; m < until; m++) *out++ = (which ? log.given : log.taken)[m];
    return until - log.since;
}

// The least room with which steps of one frame can give as late as a run backwards from cycle `end`
// says, and beats be taken as early as one forwards: S[m] >= X[m - room] + back.
i64 timing_room(void *forwards, void *backwards, i64 link, i64 end, i64 back) {
    const Simulation *f = static_cast<Simulation *>(forwards);
    Ring &x = static_cast<Simulation *>(forwards)->logs[link].taken;
    Ring &s = static_cast<Simulation *>(backwards)->logs[link].taken;
    i64 beats = f->links[link].takes, room = 0;
    for (i64 m = 0, gone = 0; m < beats; m++) {
        while (gone < beats && x[gone] + back <= end - s[beats - 1 - m]) gone++;
        room = std::max(room, m + 1 - gone);
    }
    return room;
}

// All cycles that the frames to come depend on, but the host's. Returns how many; they go to `out`,
// if there is one.
i64 timing_state(void *simulation, i64 *out) {
    Simulation *s = static_cast<Simulation *>(simulation);
    std::vector<i64> state;
    for (size_t p = 0; p < s->processes.size() - 2; p++) state.push_back(s->processes[p].last);
    for (Link &link : s->links)
        for (i64 m = link.endless ? link.takes : link.gives - link.room; m < link.gives; m++)
            state.push_back(link.ring[m]);
    if (out) std::copy(state.begin(), state.end(), out);
    return state.size();
}

}  // extern "C"
