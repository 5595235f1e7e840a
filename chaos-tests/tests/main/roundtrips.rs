use crate::scenario;
use chaos_tests::failure::Result;
use chaos_tests::fault;
use chaos_tests::roundtrip::{self, Figures, Source};
use chaos_tests::scenario::Tier;
use chaos_tests::world::{Options, Store, World};

async fn trip(name: &str, seed: u64, store: Store, sources: &[Source]) -> Result<Figures> {
    let name = name.into();
    let mut world =
        World::start(Options { name, seed, mailboxes: 5, store, ..Options::default() }).await?;
    let figures = roundtrip::run(&world, sources, 6).await;
    let figures = figures.map_err(|error| world.with_log(&error))?;
    fault::terminate(&mut world).await?;
    world.pass();
    Ok(figures)
}

fn check_corpus(name: &str, store: Store, step: usize) {
    let Some(sources) = roundtrip::corpus(step) else {
        eprintln!("{name}: SKIPPED, no messages in ../shared/corpus/eml (RIALTO_CORPUS)");
        return;
    };
    let figures = scenario(name, |seed| async move { trip(name, seed, store, &sources).await });
    eprintln!("{name}: {:?}", figures.unwrap_or_else(|error| panic!("{error}")));
}

#[test]
fn the_corpus_comes_back_byte_for_byte() {
    check_corpus("corpus", Store::Embedded, 1);
}

#[test]
fn the_corpus_comes_back_byte_for_byte_from_a_cluster() {
    check_corpus("corpus-fdb", Store::FoundationDb, 1);
}

#[test]
fn made_messages_come_back_byte_for_byte() {
    let (count, large, megabytes) = Tier::from_env().pick((40, 4, 16), (500, 400, 48));
    let figures = scenario("made", |seed| async move {
        let sources = roundtrip::made(seed, count, large, megabytes);
        trip("made", seed, Store::Embedded, &sources).await
    });
    eprintln!("made: {:?}", figures.unwrap_or_else(|error| panic!("{error}")));
}
